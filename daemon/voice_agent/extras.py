"""Optional packages: where they lie beside Debian's package, and what brings one that is missing."""

import sys
from pathlib import Path

PLACE = Path("/opt/voice-agent/extras")
"""A virtual environment over the system's packages; root's, since what lies there runs as the daemon."""
TOOL = Path("/usr/sbin/voice-agent-extras")
"""Debian's package brings it."""


def look_in() -> None:
    """Have them found from now on; before the system's own, since pip chose them over those.

    Does nothing in a virtual environment, which has its own, nor if they were made for another Python.
    """
    place = PLACE / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    if sys.prefix == sys.base_prefix and place.is_dir():
        theirs = (at for at, path in enumerate(sys.path) if path.endswith("dist-packages"))
        sys.path.insert(min(theirs, default=len(sys.path)), str(place))


def remedy(*names: str) -> str:
    """The command that installs these extras where this daemon finds them."""
    if sys.prefix == sys.base_prefix and TOOL.exists():
        return f"{TOOL.name} {' '.join(names)}"
    return f"pip install 'voice-agent[{','.join(names)}]'"
