"""``python -m tests.device``: the daemon on real kernel devices, in an emulated arm64 Debian.

Prints a table, writes ``device-out/device.json``; what the machine and the daemon said is kept beside it.
Ends with 1 if anything was not as it must be, 69 if the machine cannot be had here, 75 if time ran out.
"""

import asyncio
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from tests.device import image, machine, needs, rig
from tests.device.daemon import LOG, NotSeen
from tests.device.machine import CommandFailed, Machine
from tests.device.needs import NotPossible
from tests.device.qmp import Refused
from tests.device.scenes import SCENES, Figure, Scene

OUTPUT = Path("device-out").absolute()
LIMIT_S = 15 * 60


def main() -> int:
    """The exit code."""
    began = monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    report = Report()
    try:
        needs.check()
        made = image.prepare(say=_say)
        _say(f"the machine is made: {monotonic() - began:.0f} s")
        asyncio.run(_play(made, report, began + LIMIT_S - monotonic()))
    except NotPossible as error:
        print(f"test-device: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except TimeoutError:
        print(f"test-device: stopped after {LIMIT_S / 60:.0f} minutes", file=sys.stderr)
        return os.EX_TEMPFAIL
    finally:
        path = OUTPUT / "device.json"
        path.write_text(report.text(monotonic() - began))
    _say(f"\n{path} written after {monotonic() - began:.0f} s")
    return os.EX_OK if report.passed else 1


@dataclass
class Report:
    """What is known so far."""

    machine: dict[str, float | str] = field(default_factory=dict)
    scenes: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all scenes were played and are as they must be."""
        return self.scenes.keys() == SCENES.keys() and all(scene["passed"] for scene in self.scenes.values())

    def text(self, elapsed_s: float) -> str:
        """JSON."""
        facts = {"passed": self.passed, "elapsed_s": round(elapsed_s, 1)}
        return json.dumps(facts | asdict(self), indent=2) + "\n"


async def _play(made: image.Image, report: Report, limit_s: float) -> None:
    began = monotonic()
    async with asyncio.timeout(limit_s), machine.running(made, OUTPUT) as host:
        boot_s, kernel = round(monotonic() - began, 1), (await host.run("uname", "-srm")).strip()
        report.machine |= {"kernel": kernel, "boot_s": boot_s}
        _say(f"{kernel} is up after {boot_s:.0f} s")
        await rig.begin_hum(host)
        for name, scene in SCENES.items():
            report.scenes[name] = await _scene(host, name, scene)


async def _scene(host: Machine, name: str, scene: Scene) -> dict[str, object]:
    began = monotonic()
    figures: list[Figure] = []
    error = ""
    try:
        await rig.mend(host)
        figures = await scene(host)
    except (NotSeen, CommandFailed, Refused) as missing:
        error = str(missing)
    finally:
        await _keep_log(host, name)
    passed = not error and all(figure.good for figure in figures)
    _say(f"\n{name}: {'passed' if passed else 'FAILED'} ({monotonic() - began:.0f} s)")
    for figure in figures:
        _say(_row(figure))
    if error:
        _say(f"  {error}")
    measured = {figure.name: round(figure.value, 3) for figure in figures}
    return {"passed": passed, "figures": measured} | ({"error": error} if error else {})


def _row(figure: Figure) -> str:
    limits = [f"at least {figure.least:g}"] if figure.least else []
    limits += [f"at most {figure.most:g}"] if figure.most != float("inf") else []
    mark = " " if figure.good else "!"
    return f"{mark} {figure.name:<52} {figure.value:9.2f} {figure.unit:<3} {', '.join(limits)}".rstrip()


async def _keep_log(host: Machine, name: str) -> None:
    path = OUTPUT / f"{name.replace(' ', '-').lower()}.log"
    path.write_bytes(await host.read(f"/var/log/{LOG}"))


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
