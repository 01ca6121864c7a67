"""What the kernel says about this machine: the Wi-Fi signal and the processor's temperature. Reads files."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")
BEST_QUALITY = 70
"""Of a Wi-Fi link, as nearly all Linux drivers count."""


def figures(root: Path = ROOT) -> Mapping[str, object]:
    """What is known of it, in whole numbers; nothing of what a machine does not have."""
    return {**_wifi(root / "proc/net/wireless"), **_temperature(root / "sys/class/thermal")}


def _wifi(path: Path) -> Mapping[str, object]:
    """Two lines of heading, then ``wlan0: 0000   54.  -56.  -256 ...``: status, quality, signal, noise."""
    with suppress(OSError, ValueError, IndexError):
        words = path.read_text("ascii").splitlines()[2].split()
        quality, signal_dbm = (round(float(word.rstrip("."))) for word in words[2:4])
        percent = max(min(round(100 * quality / BEST_QUALITY), 100), 0)
        return {"wifi_quality_percent": percent, "wifi_signal_dbm": signal_dbm}
    return {}


def _temperature(zones: Path) -> Mapping[str, object]:
    """The hottest place that is measured; some sensors cannot be read now and then."""
    degrees = []
    for zone in sorted(zones.glob("thermal_zone*/temp")):
        with suppress(OSError, ValueError):
            degrees.append(round(int(zone.read_text("ascii")) / 1000))
    return {"cpu_temperature_c": max(degrees)} if degrees else {}
