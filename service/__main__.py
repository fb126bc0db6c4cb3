"""``python -m service`` is ``tableturn``."""

from service.cli import main

if __name__ == "__main__":
    main()
