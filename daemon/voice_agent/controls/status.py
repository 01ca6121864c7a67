"""`voice-agent status`: how the running daemon is; what is wrong comes first, and what to do about it."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voice_agent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voice_agent.telemetry.report import End, Report

HELP = "say how the running daemon is, and what to do if it cannot converse"
DESCRIPTION = """\
Say how the running daemon is. What is wrong comes first, and what to do about it.

exit codes: 0 it can converse now, 1 it cannot, 69 no daemon answers
"""
EPILOG = """\
examples:
  voice-agent status
  voice-agent status --watch                         again every second, until Ctrl-C
  voice-agent status --json | jq .session.last_disconnect
  until voice-agent status > /dev/null; do sleep 1; done; echo "it can converse"
"""
NOT_READY = 1
EVERY_S = 1.0
SHORTEST_S, LONGEST_S = 0.2, 3600.0
CLEAR = "\x1b[H\x1b[2J"
MAX_FAULTS = 5  # of the list: one screen


def describe(parser: argparse.ArgumentParser) -> None:
    """Give the parser its words and its work."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON; docs/status.md explains the fields")
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=EVERY_S,
        metavar="SECONDS",
        help=f"ask again and again, until Ctrl-C; default: every {EVERY_S:g} s",
    )
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="where the daemon listens; default: where daemons do"
    )
    parser.set_defaults(command=_status)


def _status(arguments: argparse.Namespace) -> int:
    if arguments.watch is None:
        report = _asked(arguments.socket)
        print(_shown(report, as_json=arguments.json))
        return os.EX_OK if report.ready else NOT_READY
    while True:
        try:
            text = _shown(_asked(arguments.socket), as_json=arguments.json)
        except VoiceAgentError as error:  # it may be about to be restarted
            text = "" if arguments.json else f"voice-agent: {error}"
        if text:
            clears = sys.stdout.isatty() and not arguments.json
            print(CLEAR * clears + text, flush=True)
        time.sleep(arguments.watch)


def _asked(socket: Path | None) -> "Report":
    from voice_agent.controls.client import ask_for
    from voice_agent.telemetry.report import Report

    return ask_for(Report, "GET", "status", socket, root="")


def _shown(report: "Report", *, as_json: bool) -> str:
    if as_json:
        import msgspec

        return msgspec.json.encode(report).decode()
    return as_text(report)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no interval: {SHORTEST_S:g} to {LONGEST_S:g} seconds")
    return seconds


# --------------------------------------------------------------------------------------- for people


def as_text(report: "Report") -> str:
    """All of it, for a terminal."""
    return "\n".join(_plain(line) for line in lines(report))


def lines(report: "Report") -> Iterator[str]:
    """One screen: the verdict, what is wrong, then everything else."""
    yield f"voice-agent {report.version}: {_verdict(report)}"
    for problem in report.problems:
        yield f"  {problem.part}: {problem.reason}"
        yield f"      -> {problem.advice}"
    yield ""
    for name, text in _rows(report):
        yield f"{name:<14}{text}"


def _plain(line: str) -> str:
    """Names and reasons come from devices and servers: nothing of theirs commands the terminal."""
    return "".join(each if each.isprintable() else "?" for each in line)


def _verdict(report: "Report") -> str:
    if not report.ready:
        return "NOT READY"
    if report.controls.muted:
        return "ready, but the microphone is muted; to open it: voice-agent unmute"
    if report.controls.volume == 0:
        return "ready, but the volume is 0; to raise it: voice-agent volume 60"
    return "ready"


def _rows(report: "Report") -> Iterator[tuple[str, str]]:
    doing = f" ({report.conversation.doing})" if report.conversation.doing else ""
    yield "state", f"{report.state}{doing}, up {_ago(report.uptime_s)}"
    yield "session", _session(report)
    yield "microphone", _end(report.microphone)
    yield "loudspeaker", _end(report.loudspeaker)
    yield "controls", _controls(report)
    yield "conversation", _conversation(report)
    yield "today", _allowance(report)
    yield "timers", ", ".join(f"{count} {kind}s" for kind, count in report.timers.items()) or "none"
    for server in report.tool_servers:
        state = f"{server.tools} tools" if server.connected else "not connected; the log says why"
        yield "tool server", f"{server.name}: {state}"
    for component in report.components:
        if not component.up:
            yield "down", f"{component.name}: {component.reason}"
    for fault in report.faults[:MAX_FAULTS]:
        yield "lately", f"{fault.kind}, {fault.count} times, last {_ago(fault.last_ago_s)} ago"


def _session(report: "Report") -> str:
    link = report.session
    parts = [f"provider {link.provider}"]
    if link.age_s is not None:
        limit = f" of {_ago(link.limit_s)}" if link.limit_s else ""
        parts.append(f"{_ago(link.age_s)} old{limit}")
    if link.rtt_s is not None:
        parts.append(f"round trip {link.rtt_s * 1000:.0f} ms")
    if link.last_disconnect and link.last_disconnect_ago_s is not None:
        parts.append(f"last lost {_ago(link.last_disconnect_ago_s)} ago: {link.last_disconnect}")
    if link.retry_s is not None:
        parts.append(f"next attempt in {link.retry_s:.1f} s" if link.retry_s else "trying now")
    return ", ".join(parts)


def _end(end: "End") -> str:
    rate = f", {end.rate_hz} Hz{' (converted)' if end.resampled else ''}" if end.rate_hz else ""
    troubles = [f"{end.xruns} xruns"] * bool(end.xruns) + [f"{end.restarts} restarts"] * bool(end.restarts)
    return ", ".join([f"{end.condition}: {end.device}{rate}", *troubles])


def _controls(report: "Report") -> str:
    stand = report.controls
    muted = "muted" if stand.muted else "not muted"
    pressed = ", button pressed" if stand.talking else ""
    return f"volume {stand.volume}, {muted}, gate {stand.gate}, echo {stand.echo}{pressed}"


def _conversation(report: "Report") -> str:
    counts = report.conversation
    latencies = " ".join(f"{it.model_s + it.client_s + it.device_s:.2f}" for it in counts.turns[:5])
    failed = f", {counts.answers_failed} failed" if counts.answers_failed else ""
    heard = f"; first sound after {latencies} s (newest first)" if latencies else ""
    begun, cut = counts.turns_begun, counts.interruptions
    return f"{begun} turns, {counts.answers} answers{failed}, {cut} interrupted{heard}"


def _allowance(report: "Report") -> str:
    used = report.allowance
    minutes = f" of {used.audio_limit_s / 60:g}" if used.audio_limit_s else ""
    tokens = f" of {used.tokens_limit}" if used.tokens_limit else ""
    return f"{used.audio_s / 60:.1f}{minutes} min of sound, {used.tokens}{tokens} tokens"


def _ago(seconds: float) -> str:
    """A duration in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((at for at, (count, _) in enumerate(units) if count), 0)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"
