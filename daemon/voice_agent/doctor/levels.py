"""What to think of a microphone's levels."""

from voice_agent.doctor.findings import Finding, fail, ok, warn
from voice_agent.doctor.signals import Levels

CLIPPING_FAIL = 0.01
CLIPPING_WARN = 0.0001
NOISY_DBFS = -40.0
"""Speech at arm's length is at about -30: the gap is what speech recognition lives on."""
FAINT_DBFS = -85.0
"""Below this a 16-bit microphone brings its last bit and nothing else."""
DC_SHARE = 0.01

LOWER = "lower its gain: alsamixer, F4"
RAISE = "raise its gain: alsamixer, F4; is it the right device?"
UNMUTE = "unmute it: its own switch, then alsamixer, F4; or it is the wrong one: voice-agent devices"
REPLUG = "unplug it and plug it in again; try another port or cable"


def judged_levels(found: Levels, overflows: int = 0) -> Finding:
    """The worst thing that the levels of a quiet room tell; the figures tell all."""
    figures = {
        "rms_dbfs": round(found.rms_dbfs, 1),
        "peak_dbfs": round(found.peak_dbfs, 1),
        "noise_floor_dbfs": round(found.floor_dbfs, 1),
        "clipped_percent": round(100 * found.clipped_share, 3),
        "dc_offset_percent": round(100 * found.dc_share, 3),
        "overflows": float(overflows),
    }
    name = "microphone"
    floor = f"noise floor {found.floor_dbfs:.0f} dBFS, peak {found.peak_dbfs:.0f}"
    clipped = f"{100 * found.clipped_share:.2g} % of its samples are clipped"
    if found.stuck == 0:
        return fail(name, "digital silence: it brings nothing but zeros", UNMUTE, **figures)
    if found.stuck is not None:
        return fail(name, f"stuck: it brings nothing but the value {found.stuck}", REPLUG, **figures)
    if found.clipped_share >= CLIPPING_FAIL:
        return fail(name, f"{clipped} ({floor})", LOWER, **figures)
    if found.clipped_share >= CLIPPING_WARN:
        return warn(name, f"{clipped} ({floor})", LOWER, **figures)
    if found.rms_dbfs < FAINT_DBFS:
        return warn(name, f"hardly any sound ({floor})", RAISE, **figures)
    if found.floor_dbfs > NOISY_DBFS:
        remedy = "was the room quiet? else look for a fan, for hum, for too much gain"
        return warn(name, f"noisy ({floor})", remedy, **figures)
    if abs(found.dc_share) > DC_SHARE:
        seen = f"a DC offset of {100 * found.dc_share:.1f} % ({floor})"
        return warn(name, seen, "it costs headroom: another microphone or adapter", **figures)
    if overflows:
        remedy = "the machine is too busy: look at its load"
        return warn(name, f"lost sound {overflows} times ({floor})", remedy, **figures)
    return ok(name, floor, **figures)
