"""Requests from outside of the process, as HTTP brings them.

    GET  /control                  how the controls stand
    POST /control/talk/press       /control/talk/release   /control/stop
    POST /control/mute             /control/unmute
    POST /control/volume?to=40     ?by=-10
    GET  /control/timers           timers and alarms
    POST /control/timers/cancel?name=eggs      ?all=1

Every answer is JSON: how the controls stand then, for the last two what is set then, or ``{"error": "..."}``.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from voice_agent.alarms.clockwork import Clockwork
from voice_agent.controls.panel import Controls, Refused
from voice_agent.errors import ToolError


class Reply(NamedTuple):
    """What goes back."""

    status: HTTPStatus
    body: bytes


def reply_to(controls: Controls, path: str, query: Mapping[str, str], connection: str) -> Reply:
    """Do what is asked for; an empty ``path`` only asks how things are."""
    try:
        done = _do(controls, path, query)
    except Refused as error:
        return _failure(HTTPStatus.CONFLICT, str(error))
    except ValueError:
        return _failure(HTTPStatus.BAD_REQUEST, "volume takes to=0...130 or by=-130...130")
    if not done:
        return _failure(HTTPStatus.NOT_FOUND, f"there is no control named {path!r}")
    return Reply(HTTPStatus.OK, msgspec.json.encode(controls.status(connection)) + b"\n")


def timers_reply(clockwork: Clockwork, path: str, query: Mapping[str, str]) -> Reply | None:
    """Do what is asked of timers and alarms, if the ``path`` is about them."""
    match path, dict(query):
        case "timers", _:
            pass
        case "timers/cancel", {"name": name}:
            try:
                clockwork.cancel([clockwork.find(name)])
            except ToolError as error:
                return _failure(HTTPStatus.CONFLICT, str(error))
        case "timers/cancel", {"all": _}:
            clockwork.cancel(clockwork.entries)
        case "timers/cancel", _:
            return _failure(HTTPStatus.BAD_REQUEST, "say which: name=..., or all=1")
        case _:
            return None
    return Reply(HTTPStatus.OK, msgspec.json.encode(clockwork.listing()) + b"\n")


def _do(controls: Controls, path: str, query: Mapping[str, str]) -> bool:
    deeds: Mapping[str, Callable[[], object]] = {
        "": lambda: None,
        "talk/press": controls.press,
        "talk/release": controls.release,
        "mute": lambda: controls.mute(muted=True),
        "unmute": lambda: controls.mute(muted=False),
        "stop": controls.stop,
        "volume": lambda: controls.set_volume(_level(controls.volume, query)),
    }
    deed = deeds.get(path)
    if deed is not None:
        deed()
    return deed is not None


def _level(now: int, query: Mapping[str, str]) -> int:
    match dict(query):
        case {"to": to, **others} if not others:
            return int(to)
        case {"by": by, **others} if not others:
            return now + int(by)
    raise ValueError(query)


def _failure(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error": text}) + b"\n")
