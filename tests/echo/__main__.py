"""``python -m tests.echo``: all scenes on real streams; ``echo-out/echo.json``, pictures, and a table.

A missed goal is said and is no failure; a scene that could not be performed is one.
It takes about a quarter of an hour.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from tests.echo.pictures import picture
from tests.echo.scenes import SCENES, Outcome, Scene, erle, rounded

OUTPUT = Path("echo-out")
AT_ONCE = 4
"""Scenes in real time beside each other: each takes a tenth of a processor."""
FAST_AT_ONCE = 2
SPEED = 3.0
"""Of scenes without interruptions: they measure no latency."""
PATIENCE_S = 900.0
GOAL_SILENCE_MS = 300.0
GOAL_LOUD, GOAL_SOFT = 0.95, 0.75
GOAL_PLAYOUT_MIN = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.echo", description=__doc__)
    parser.add_argument("--only", default="", help="scenes whose name has this in it")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write (echo-out)")
    options = parser.parse_args(arguments)
    began = monotonic()
    scenes = [scene for scene in SCENES if options.only in scene.name]
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        outcomes = _perform_all(scenes, options.output)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"\na scene failed: {error}\n{(error.stderr or b'')[-3000:]!r}", file=sys.stderr)
        return os.EX_SOFTWARE
    report = told(outcomes)
    (options.output / "echo.json").write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print("\n".join(goals(outcomes, report)))
    print(f"{options.output / 'echo.json'} written after {monotonic() - began:.0f} s")
    return os.EX_OK


def _perform_all(scenes: Sequence[Scene], output: Path) -> list[Outcome]:
    talks = [scene for scene in scenes if scene.echo_to_speech_db is not None]
    lonely = [replace(scene, speed=SPEED) for scene in scenes if scene.echo_to_speech_db is None]
    outcomes: list[Outcome] = []
    for group, at_once in ((talks, AT_ONCE), (lonely, FAST_AT_ONCE)):
        with ThreadPoolExecutor(at_once) as pool:
            for scene, done in zip(group, pool.map(_perform, group), strict=True):
                outcomes.append(Outcome(**done["outcome"]))
                picture(output / f"{_slug(scene.name)}.png", scene, done["levels"])
                print(f"  {scene.name}: {json.dumps(outcomes[-1].told()['barge_in'])}", flush=True)
    return outcomes


def _perform(scene: Scene) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.echo.live"]
    done = subprocess.run(
        command, input=json.dumps(asdict(scene)).encode(), capture_output=True, check=True, timeout=PATIENCE_S
    )
    performed: dict[str, Any] = json.loads(done.stdout)
    return performed


def told(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The report: all together, then each scene."""
    silences = [ms for outcome in outcomes for ms in outcome.silence_ms]
    lonely = [outcome for outcome in outcomes if not outcome.tried]
    alone_s = sum(outcome.playout_s for outcome in lonely)
    return {
        "self_interruptions": sum(outcome.self_interruptions for outcome in outcomes),
        "playout_minutes": rounded(sum(outcome.playout_s for outcome in outcomes) / 60),
        "erle_db": erle([db for outcome in outcomes for db in outcome.erle_db]),
        "barge_in": {
            "tried": sum(outcome.tried for outcome in outcomes),
            "honoured": sum(outcome.honoured for outcome in outcomes),
            "silence_ms_p50": rounded(np.median(silences)) if silences else None,
        },
        "unaided_triggers_per_minute": rounded(
            sum(outcome.unaided_triggers for outcome in lonely) * 60 / max(alone_s, 1.0)
        ),
        "scenes": [outcome.told() for outcome in outcomes],
    }


def table(report: dict[str, Any]) -> str:
    """As it stands in ``docs/echo.md``."""
    heads = (
        "scene",
        "playout, min",
        "self-interruptions",
        "ERLE p50 / min, dB",
        "honoured",
        "silent after, ms",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in [*report["scenes"], {"name": "**all**", **report}]:
        barge = row["barge_in"]
        honoured = f"{barge['honoured']} of {barge['tried']}" if barge["tried"] else "-"
        lines.append(
            f"| {row['name']} | {row['playout_minutes']} | {row['self_interruptions']} "
            f"| {row['erle_db']['p50']} / {row['erle_db']['min']} | {honoured} "
            f"| {barge['silence_ms_p50'] or '-'} |"
        )
    return "\n".join(lines)


def goals(outcomes: Sequence[Outcome], report: dict[str, Any]) -> list[str]:
    """Each goal, and whether it was met."""
    soft = [outcome for outcome in outcomes if outcome.name.endswith("+6 dB")]
    loud = [outcome for outcome in outcomes if outcome not in soft]
    share = {name: _share(group) for name, group in (("loud", loud), ("soft", soft))}
    silence_ms = report["barge_in"]["silence_ms_p50"] or 0.0
    minutes = report["playout_minutes"]
    return [
        _goal(f"no self-interruption in {minutes} min", report["self_interruptions"] == 0),
        _goal(f"at least {GOAL_PLAYOUT_MIN:.0f} min of playout", minutes >= GOAL_PLAYOUT_MIN),
        _goal(f"{share['loud']:.1%} honoured at or above the echo's level", share["loud"] >= GOAL_LOUD),
        _goal(f"{share['soft']:.1%} honoured 6 dB below it", share["soft"] >= GOAL_SOFT),
        _goal(f"silent {silence_ms:.0f} ms after the onset (median)", silence_ms <= GOAL_SILENCE_MS),
    ]


def _share(outcomes: Sequence[Outcome]) -> float:
    tried = sum(outcome.tried for outcome in outcomes)
    return sum(outcome.honoured for outcome in outcomes) / tried if tried else 1.0


def _goal(what: str, met: bool) -> str:
    return f"{'met   ' if met else 'MISSED'}  {what}"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


if __name__ == "__main__":
    sys.exit(main())
