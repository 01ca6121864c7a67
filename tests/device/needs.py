"""What the emulated machine needs of this one."""

import shutil

PROGRAMS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
"""And the Debian packages that bring them."""


class NotPossible(Exception):
    """The emulated machine cannot be had here; the text says why, and what would help."""


def check() -> None:
    """Raises NotPossible, with the command that would help, if something is missing."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        command = f"apt-get install --no-install-recommends {' '.join(missing)}"
        raise NotPossible(f"this needs {', '.join(missing)}. As root: {command}")
