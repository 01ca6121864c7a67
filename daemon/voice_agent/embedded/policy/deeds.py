"""What is said about what tools have done on the device: timers, alarms, volume, microphone, connection."""

from collections.abc import Mapping
from datetime import date
from re import IGNORECASE, fullmatch, search
from typing import Any

from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.words import day_word, percent, repeat_words, said, signed, texts, whole

_WORKING = ("open", "muted", "")
"""Conditions of a sound device that nobody needs to be told of."""


def deed(facts: Mapping[str, Any], phrases: Phrases, tool: str, today: date | None) -> str | None:
    """The sentence, or ``None`` if this is not about a deed."""
    match facts:
        case {"timers": list() as timers}:
            return _listing(timers, facts.get("missed"), phrases, today)
        case {"cancelled": cancelled}:
            names = [_name(each, phrases) for each in texts(cancelled)]
            told = phrases.cancelled.format(names=_capital(", ".join(names)))
            return told if names else phrases.none_cancelled
        case {"connection": str() as connection}:
            return _status(connection, facts, phrases)
        case {"name": name, "seconds": seconds}:
            lasts = phrases.duration(whole(seconds))
            told = phrases.timer_set.format(name=_capital(_name(name, phrases)), duration=lasts)
            return told + _forgets(facts, phrases)
        case {"name": name, "time": _} if search(r"alarm", tool, IGNORECASE):
            when = _when(facts, phrases, today)
            told = phrases.alarm_set.format(name=_capital(_name(name, phrases)), when=when)
            return told + _forgets(facts, phrases)
    return _plain_deed(facts, phrases)


def _plain_deed(facts: Mapping[str, Any], phrases: Phrases) -> str | None:
    match facts:
        case {"muted": bool() as muted}:
            how = phrases.unmute_by.format(how=facts.get("unmute_by")) if facts.get("unmute_by") else ""
            return phrases.muted + how if muted else phrases.unmuted
        case {"volume": volume}:
            return phrases.volume.format(percent=percent(volume, phrases))
        case {"text": str() as text}:
            return text or phrases.nothing_said
        case {"ends_when_quiet": _}:
            return phrases.bye
        case {"stopped": _}:
            return phrases.stopped
    return None


def _forgets(facts: Mapping[str, Any], phrases: Phrases) -> str:
    return phrases.forgets if facts.get("forgotten_at_restart") else ""


def _name(name: object, phrases: Phrases) -> str:
    """Names that the device gave itself are words of the language."""
    given = fullmatch(r"(timer|alarm)( \d+)?", str(name))
    return f"{said(given[1], phrases)}{given[2] or ''}" if given else str(name)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ------------------------------------------------------------------------------------------- timers


def _listing(timers: list[Any], missed: object, phrases: Phrases, today: date | None) -> str:
    told = [_timer(each, phrases, today) for each in timers if isinstance(each, dict)]
    gone = missed if isinstance(missed, list) else []
    told += [
        phrases.missed.format(name=_capital(_name(each.get("name"), phrases)))
        for each in gone
        if isinstance(each, dict)
    ]
    return " ".join(told) or phrases.no_timers


def _timer(timer: Mapping[str, Any], phrases: Phrases, today: date | None) -> str:
    name = _capital(_name(timer.get("name", "timer"), phrases))
    if timer.get("ringing"):
        return phrases.rings.format(name=name)
    if timer.get("seconds_left") is not None:
        return phrases.timer_left.format(name=name, duration=phrases.duration(whole(timer["seconds_left"])))
    return phrases.alarm_at.format(name=name, when=_when(timer, phrases, today))


def _when(alarm: Mapping[str, Any], phrases: Phrases, today: date | None) -> str:
    time = str(alarm.get("time", ""))
    day = repeat_words(texts(alarm.get("repeat")), phrases) or day_word(alarm.get("date"), phrases, today)
    return phrases.at_on.format(time=time, day=day) if day else phrases.at.format(time=time)


# ------------------------------------------------------------------------------------------- status


def _status(connection: str, facts: Mapping[str, Any], phrases: Phrases) -> str:
    """The connection first, as that is what is asked for, and whatever is wrong."""
    if connection != "connected":
        told = phrases.disconnected
    elif facts.get("connected_s") is not None:
        told = phrases.connected_for.format(
            duration=phrases.duration(whole(facts["connected_s"]), roughly=True)
        )
    else:
        told = phrases.connected
    if whole(facts.get("round_trip_ms")):
        told += phrases.round_trip.format(time=phrases.count(whole(facts["round_trip_ms"]), "millisecond"))
    if whole(facts.get("reconnects")):
        told += phrases.reconnects.format(times=phrases.count(whole(facts["reconnects"]), "time"))
    if facts.get("wifi_signal_dbm") is not None:
        told += phrases.wifi.format(number=signed(facts["wifi_signal_dbm"], phrases))
    if facts.get("muted") is True:
        told += phrases.mic_muted
    for part in ("microphone", "loudspeaker"):
        if facts.get(part, "") not in _WORKING:
            told += phrases.trouble.format(what=said(part, phrases))
    return told
