"""Plays all scenes: files of them side by side, each on a node of its own. ``make test-system``.

Ends well, in a word, where no node can be had: only a scene that fails is a failure.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from tests.nspawn import image
from tests.nspawn.node import booted

SCENES = ("package", "faults", "weather", "servers", "life", "limits", "sound", "access")
"""Files of them: the longest first."""
AT_ONCE = 4
"""Nodes mostly wait, for restarts and for answers."""
LIMIT_S = 600


def _play(name: str, environ: dict[str, str]) -> bool:
    """Whether all scenes of a file went well; what was said is told when they have ended."""
    began = monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"tests/nspawn/{name}.py"]
    with tempfile.TemporaryFile("w+") as told:
        code = subprocess.run(
            command, cwd=image.ROOT, env=environ, stdout=told, stderr=told, timeout=LIMIT_S, check=False
        ).returncode
        told.seek(0)
        last = told.read().strip()
    summary = last.splitlines()[-1] if last else "nothing was said"
    print(summary if code == 0 else last, f"[{name}, {monotonic() - began:.0f} s]", flush=True)
    return code == 0


def _try(grounds: image.Grounds) -> None:
    """Boot a Debian that has nothing of ours: whether this machine can is no question to the scenes."""
    try:
        with booted(grounds.bare):
            pass
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        raise image.NotPossible(str(error)) from error


def main(names: tuple[str, ...]) -> int:
    """The process's exit code."""
    try:
        with image.prepared() as grounds:
            _try(grounds)
            environ = os.environ | {image.GIVEN: ":".join(map(str, grounds))}
            with ThreadPoolExecutor(AT_ONCE) as pool:
                went_well = list(pool.map(lambda name: _play(name, environ), names))
    except image.NotPossible as error:
        print(f"test-system: skipped, no systemd can be booted here: {error}")
        return 0
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    present = [name for name in SCENES if Path(__file__).with_name(f"{name}.py").exists()]
    sys.exit(main(tuple(sys.argv[1:] or present)))
