"""Plays all scenes on one fleet. ``make test-fleet``.

Ends well, in a word, where no node can be had: only a scene that fails is a failure.
"""

import subprocess
import sys

from tests.nspawn import image

SCENES = ("tests/fleet/steps.py", "tests/fleet/scenes.py")


def main(options: list[str]) -> int:
    """The process's exit code."""
    try:
        image.check()
    except image.NotPossible as error:
        print(f"test-fleet: skipped, no device can be booted here: {error}")
        return 0
    command = [sys.executable, "-m", "pytest", "-v", "--no-header", *SCENES, *options]
    return subprocess.run(command, cwd=image.ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
