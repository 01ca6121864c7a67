"""Commands to the daemon that runs: `voice-agent mute`, `unmute`, `talk`, `volume` and `stop`."""

import argparse
import os
from pathlib import Path

NAMES = {
    "mute": "close the running daemon's microphone until it is unmuted",
    "unmute": "open it again",
    "talk": "press or release the running daemon's button",
    "volume": "show or change the running daemon's volume",
    "stop": "let the running daemon be quiet: no more of this answer",
}
"""The commands, and what each is for."""

DESCRIPTIONS = {
    "mute": "Close the microphone of the running daemon. It stays closed, even when the daemon or the device"
    " is restarted, until `voice-agent unmute`.",
    "talk": "Press the button of the running daemon: it falls silent and listens, in whatever mode, until the"
    " button is released or gate.talk_s has passed. Without a word: press it, or release it if it is down.",
    "volume": "Show the volume, set it (0 to 100, and to 130 with peaks bent softly), or change it.",
}
EPILOGS = {
    "mute": "example: voice-agent mute && systemctl restart voice-agent",
    "talk": "example: voice-agent talk press; then speak; then voice-agent talk release",
    "volume": "examples: voice-agent volume; voice-agent volume 60; voice-agent volume +10",
}


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
        case _:
            parser.set_defaults(command=_simple, deed=name)


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


def _level(text: str) -> str:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isdecimal() or not digits.isascii() or int(digits) > 130:
        raise argparse.ArgumentTypeError(f"{text!r} is no volume: 0 to 130, or a step such as +10 or -10")
    return text
