"""``voice-agent doctor``: from the command line to the exit code."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from voice_agent.doctor import clock, devices, instance, machine, network, provider, settings, sound
from voice_agent.doctor.case import Case, Check
from voice_agent.doctor.course import examined
from voice_agent.doctor.findings import Finding, exit_code
from voice_agent.doctor.report import as_json, closing_lines, line

CHECKS = (
    Check("config", settings.config, "reading the configuration"),
    Check("credentials", settings.credentials, "looking for the key", needs=("config",)),
    Check(
        "devices",
        devices.devices,
        "opening the sound devices",
        limit_s=40,
        also=("input", "output"),
        needs=("config",),
        is_sound=True,
    ),
    Check(
        "microphone",
        sound.microphone,
        "recording the room for two seconds",
        limit_s=30,
        needs=("devices",),
        is_sound=True,
    ),
    Check(
        "loudspeaker",
        sound.loudspeaker,
        "playing a test sound, not loud, and listening",
        limit_s=40,
        also=("latency", "echo", "canceller"),
        needs=("devices",),
        is_sound=True,
        audible=True,
    ),
    Check("clock", clock.clock, "looking at the clock"),
    Check("dns", network.dns, "asking for the provider's address", needs=("config",)),
    Check("tls", network.tls, "connecting to the provider", limit_s=30, needs=("dns",)),
    Check(
        "handshake",
        provider.handshake,
        "opening a session and closing it again",
        limit_s=40,
        also=("round-trip",),
        needs=("credentials", "tls"),
    ),
    Check("disk", machine.disk, "writing to the state directory"),
    Check("memory", machine.memory, "looking at the memory"),
    Check("extras", machine.extras, "looking for optional packages"),
    Check("instance", instance.instance, "looking for another daemon", needs=("config",)),
)
NAMES = {name: check for check in CHECKS for name in (check.name, *check.also)}

DESCRIPTION = """\
Examine this device and say what is wrong with it, and what would cure it.

One line for each finding: ok, warn or fail, its name, what was seen, and the remedy. It opens a session with
the provider and closes it again: no sound is sent. It records the room for two seconds and plays a test
sound; what was recorded is measured and thrown away."""

EPILOG = """\
examples:
  voice-agent doctor --config config.toml
  voice-agent doctor --quick --no-sound        nothing is played or recorded
  voice-agent doctor --only handshake          after a change of the key
  voice-agent doctor --json | jq '.findings[] | select(.level != "ok")'

exit codes: 0 nothing failed (warnings are allowed), 64 wrong usage, 69 something failed, 78 configuration or
key have to be mended first, 130 stopped by Ctrl-C
"""


def main(argv: Sequence[str], default_config: Path) -> int:
    """Examine; the process's exit code."""
    options = _parsed(argv, default_config)
    logging.getLogger("voice_agent").setLevel(logging.CRITICAL)  # the findings say it, in order
    case = Case(options.config, quick=options.quick)
    wanted = {NAMES[name].name for name in options.only} or {check.name for check in CHECKS}
    checks = [check for check in _with_needs(wanted) if not (options.no_sound and check.is_sound)]
    show, say = (_nothing, _nothing) if options.json else (_show, partial(print, file=sys.stderr, flush=True))
    examination = asyncio.run(examined(case, checks, wanted, show, say))
    print(as_json(examination) if options.json else "\n".join(closing_lines(examination)))
    return exit_code(examination.findings)


def _with_needs(wanted: set[str]) -> list[Check]:
    """These checks and all that they need, in order."""
    found = set(wanted)
    for check in reversed(CHECKS):  # needs stand before those that have them
        if check.name in found:
            found |= set(check.needs)
    return [check for check in CHECKS if check.name in found]


def _show(finding: Finding) -> None:
    print(line(finding), flush=True)


def _nothing(_: object) -> None:
    """Programs read the end of it."""


# ------------------------------------------------------------------------------------------- syntax


class _Parser(argparse.ArgumentParser):
    """With sysexits' code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _parsed(argv: Sequence[str], default_config: Path) -> argparse.Namespace:
    parser = _Parser(
        prog="voice-agent doctor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, default=default_config, metavar="FILE", help=f"default: {default_config}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end, for programs")
    parser.add_argument(
        "--quick", action="store_true", help="shorter test sounds, and no canceller tried on them"
    )
    parser.add_argument("--no-sound", action="store_true", help="leave the sound devices alone")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=list(NAMES),
        metavar="NAME",
        help=f"only this, and what it needs; may be repeated. Names: {', '.join(NAMES)}",
    )
    return parser.parse_args(argv)
