"""Every test, in two lanes side by side: one waits for real processes most of the time, the other one only computes.

`make test` runs this: `python -m tests.lanes [words for pytest …]`. What computes gives way (nice) to what real time is
measured in; its output comes last, in one piece. The exit code is that of the lane that ended worse.
"""

import subprocess
import sys
import tempfile

WAITING = ("tests/acceptance",)
"""What runs the installed program; everything else computes for the most part."""


def main(words: list[str]) -> int:
    """Run both; return the exit code."""
    pytest = [sys.executable, "-m", "pytest", *words]
    others = [f"--ignore={folder}" for folder in WAITING]
    with tempfile.TemporaryFile() as said:
        giving_way = ["nice", "-n", "10", *pytest, "-p", "no:cacheprovider"]
        computing = subprocess.Popen([*giving_way, *others], stdout=said, stderr=said)
        try:
            waiting = subprocess.run([*pytest, *WAITING], check=False).returncode
            computed = computing.wait()
        finally:
            computing.kill()
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    return max(waiting, computed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
