"""How much disk a sample takes once it is settled: two hours of devices, in virtual time, as a real block."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fleetsim.devices import Device
from tests.fleetsim.film import metric
from tests.observe.programs import tried

BLOCK_S = 7200
BEGINNING = 1_700_000_000 // BLOCK_S * BLOCK_S


class Block(NamedTuple):
    """What promtool made of it. ``sample_bytes``: of the whole block, its index included."""

    samples: int
    bytes: int
    sample_bytes: float


def packed(devices: Sequence[Device], interval_s: float, directory: Path) -> Block:
    """Two hours of ``devices``. Takes seconds: ask in a thread. Raises Missing without promtool."""
    directory.mkdir(parents=True, exist_ok=True)
    text, out = directory / "samples.txt", directory / "blocks"
    with text.open("w") as file:
        count = 0
        for line in _lines(devices, interval_s):
            file.write(line)
            count += 1
        file.write("# EOF\n")
    code, told = tried("promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(out))
    if code:
        raise RuntimeError(told)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Block(count, size, round(size / count, 2))


def _lines(devices: Sequence[Device], interval_s: float) -> Iterator[str]:
    for number, device in enumerate(devices):
        labels = f'fleet="homes",instance="device-{number:05}",job="voice-agent",site="site-{number:02}"'
        for step in range(int(BLOCK_S / interval_s)):
            page = device.page(step * interval_s) or ""
            at = BEGINNING + step * interval_s
            for line in page.splitlines():
                if not line.startswith("#"):
                    yield f"{labelled(line, labels)} {at}\n"


def labelled(line: str, labels: str) -> str:
    """A sample's line with more labels."""
    name = metric(line)
    rest = line[len(name) :]
    if rest.startswith("{"):
        return f"{name}{{{labels},{rest[1:]}"
    return re.sub(r"^\S+", f"{name}{{{labels}}}", line, count=1)
