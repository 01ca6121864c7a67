"""Commands to the daemon that runs: `mute`, `volume`, `timers`, `reload` and so on."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_agent.alarms.clockwork import Listed, Listing

NAMES = {
    "mute": "close the running daemon's microphone until it is unmuted",
    "unmute": "open it again",
    "talk": "press or release the running daemon's button",
    "volume": "show or change the running daemon's volume",
    "stop": "let the running daemon be quiet: no more of this answer, nor of a ring",
    "timers": "list or cancel the running daemon's timers and alarms",
    "self-test": "let the running daemon say something, and see whether it was heard",
    "reload": "let the running daemon read its configuration again",
}
"""The commands, and what each is for."""

DESCRIPTIONS = {
    "mute": "Close the microphone of the running daemon. It stays closed, even when the daemon or the device"
    " is restarted, until `voice-agent unmute`.",
    "talk": "Press the button of the running daemon: it falls silent and listens, in whatever mode, until the"
    " button is released or gate.talk_s has passed. Without a word: press it, or release it if it is down.",
    "timers": "List the running daemon's timers and alarms, or cancel some; one that rings falls silent.",
    "volume": "Show the volume, set it (0 to 100, and to 130 with peaks bent softly), or change it.",
    "reload": "Let the running daemon read its configuration again. A file with problems changes nothing:"
    " they are named, and this ends with 78. What takes a restart is named, too.",
    "self-test": "Ask the model of the running daemon, in writing, for a word, and wait until it has left the"
    " loudspeaker. Ends with 1 if that did not happen in time; nobody who speaks is interrupted.",
}
EPILOGS = {
    "mute": "example: voice-agent mute && systemctl restart voice-agent",
    "talk": "example: voice-agent talk press; then speak; then voice-agent talk release",
    "timers": "examples: voice-agent timers; voice-agent timers cancel eggs; voice-agent timers cancel --all",
    "volume": "examples: voice-agent volume; voice-agent volume 60; voice-agent volume +10",
    "reload": "example: voice-agent check /etc/voice-agent/config.toml && voice-agent reload",
    "self-test": "example: voice-agent status && voice-agent self-test --limit 20",
}

FAILED = 1
SPARE_S = 5.0
"""The daemon knows the limit better."""
RELOAD_S = 40.0
"""It gives one reload 15 s, and another may be under way."""


def describe(name: str, parser: argparse.ArgumentParser) -> None:
    """Give the parser of one of these commands its words and its work."""
    parser.description = DESCRIPTIONS.get(name)
    parser.epilog = EPILOGS.get(name)
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="where the daemon listens; default: where daemons do"
    )
    match name:
        case "talk":
            parser.add_argument("deed", nargs="?", choices=["press", "release"], help="which of both")
            parser.set_defaults(command=_talk)
        case "volume":
            parser.add_argument("level", nargs="?", type=_level, metavar="[+|-]N", help="level, or a step")
            parser.set_defaults(command=_volume)
        case "timers":
            _describe_timers(parser)
        case "self-test":
            parser.add_argument(
                "--limit", type=_limit, default=30, metavar="SECONDS", help="default: %(default)s"
            )
            parser.set_defaults(command=_self_test)
        case "reload":
            parser.set_defaults(command=_reload)
        case _:
            parser.set_defaults(command=_simple, deed=name)


def _describe_timers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", nargs="?", choices=["list", "cancel"], default="list", help="default: list")
    parser.add_argument("name", nargs="*", metavar="NAME", help="which to cancel")
    parser.add_argument("--all", action="store_true", help="cancel all timers and alarms")
    parser.add_argument("--json", action="store_true", help="print JSON, as the model gets it")
    parser.set_defaults(command=partial(_timers, parser))


def _simple(arguments: argparse.Namespace) -> int:
    from voice_agent.controls.client import ask

    ask("POST", arguments.deed, arguments.socket)
    return os.EX_OK


def _talk(arguments: argparse.Namespace) -> int:
    from voice_agent.controls.client import ask

    deed: str | None = arguments.deed
    if deed is None:
        deed = "release" if ask("GET", "", arguments.socket).talking else "press"
    ask("POST", f"talk/{deed}", arguments.socket)
    return os.EX_OK


def _volume(arguments: argparse.Namespace) -> int:
    from voice_agent.controls.client import ask

    wanted: str | None = arguments.level
    if wanted is None:
        status = ask("GET", "", arguments.socket)
    else:
        status = ask("POST", f"volume?{'by' if wanted[0] in '+-' else 'to'}={wanted}", arguments.socket)
    print(status.volume)
    return os.EX_OK


def _self_test(arguments: argparse.Namespace) -> int:
    from voice_agent.controls.client import ask_for
    from voice_agent.controls.trial import Tried

    limit: int = arguments.limit
    deed = f"self-test?limit={limit}"
    tried = ask_for(Tried, "POST", deed, arguments.socket, patience_s=limit + SPARE_S)
    if tried.reason:
        print(f"voice-agent: {tried.reason}", file=sys.stderr)
        return FAILED
    print(
        f"{tried.heard_ms / 1000:.1f} s of an answer were heard, {tried.seconds:.1f} s after it was asked for"
    )
    return os.EX_OK


def _reload(arguments: argparse.Namespace) -> int:
    from voice_agent.controls.client import ask_for
    from voice_agent.controls.desk import Reloaded

    done = ask_for(Reloaded, "POST", "reload", arguments.socket, patience_s=RELOAD_S)
    for problem in done.problems:
        print(problem, file=sys.stderr)
    if done.due:
        print(f"takes a restart: {', '.join(done.due)}")
    return os.EX_CONFIG if done.problems else os.EX_OK


def _timers(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from urllib.parse import quote

    import msgspec

    from voice_agent.alarms.clockwork import Listing
    from voice_agent.controls.client import ask_for

    name: str = " ".join(arguments.name)
    cancels = arguments.deed == "cancel"
    if cancels != (bool(name) != arguments.all) or (not cancels and name):
        parser.error("cancel takes a NAME or --all, and list takes neither")
    deed = f"timers/cancel?{'all=1' if arguments.all else 'name=' + quote(name)}" if cancels else "timers"
    listing = ask_for(Listing, "POST" if cancels else "GET", deed, arguments.socket)
    print(msgspec.json.encode(listing).decode() if arguments.json else as_text(listing))
    return os.EX_OK


def as_text(listing: "Listing") -> str:
    """Timers and alarms, one a line."""
    lines = [f"{each.name:<24} {each.kind:<6} {_when(each)}" for each in listing.timers]
    lines += [f"{each.name:<24} {each.kind:<6} missed: {each.date} {each.time}" for each in listing.missed]
    return "\n".join(lines) or "no timer or alarm is set"


def _when(listed: "Listed") -> str:
    """When it is due, in a few words."""
    if listed.ringing:
        return "rings"
    if listed.seconds_left is not None:
        minutes, seconds = divmod(listed.seconds_left, 60)
        hours, minutes = divmod(minutes, 60)
        at = f", at {listed.ends_at}" if listed.ends_at else ""
        return f"in {hours}:{minutes:02}:{seconds:02}{at}"
    days = listed.date or " ".join(day[:3] for day in listed.repeat or [])
    return f"{listed.time} {days}"


def _limit(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:4]) <= 300:
        raise argparse.ArgumentTypeError(f"{text!r} is no limit: 1 to 300 seconds")
    return int(text)


def _level(text: str) -> str:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isdecimal() or not digits.isascii() or int(digits) > 130:
        raise argparse.ArgumentTypeError(f"{text!r} is no volume: 0 to 130, or a step such as +10 or -10")
    return text
