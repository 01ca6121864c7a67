"""How the daemon is, for people and for what looks after fleets: one JSON object, `/status`.

The names of its fields are a contract: ``docs/status.md`` lists them, and a test compares. Durations are in
seconds and end with ``_s``; what is not known is null. Nobody said any of it, and it is no secret.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from voice_agent.telemetry.snapshot import State

SILENT_S = 3.0
"""An open stream without a callback for so long is none; its keeper needs a second to see it."""


class Problem(Struct, frozen=True):
    """Why the daemon cannot converse now."""

    part: Annotated[
        str, Meta(description="`session`, `microphone`, `loudspeaker`, or a component that hangs")
    ]
    reason: Annotated[str, Meta(description="What is the matter, in words")]
    advice: Annotated[str, Meta(description="What to do about it")]
    restart_helps: Annotated[bool, Meta(description="Whether a fresh process could cure it")] = False


class Link(Struct, frozen=True):
    """The session with the provider."""

    provider: Annotated[str, Meta(description="The provider's name")]
    connection: Annotated[str, Meta(description="How the connection is, in words")]
    age_s: Annotated[float | None, Meta(description="Since the server confirmed the live session")]
    limit_s: Annotated[float | None, Meta(description="Age at which the server is expected to end it")]
    rtt_s: Annotated[float | None, Meta(description="Round trip of the last ping that was answered")]
    silence_s: Annotated[float | None, Meta(description="Since anything came from the server")]
    sessions: Annotated[int, Meta(description="Sessions that went live since the start")]
    last_disconnect: Annotated[
        str | None, Meta(description="Cause of the last loss or failed attempt, as in the metrics")
    ]
    last_disconnect_ago_s: Annotated[float | None, Meta(description="How long ago that was")]
    retry_s: Annotated[
        float | None, Meta(description="Until the next attempt; 0: it is under way; null: none is due")
    ]


class End(Struct, frozen=True):
    """A sound device."""

    device: Annotated[str, Meta(description="Its name while it is open, otherwise the configured one")]
    condition: Annotated[str, Meta(description="`closed`, `open`, `absent`, `failed` or `muted`")]
    reason: Annotated[str, Meta(description="Why it is not open; empty while it is")]
    rate_hz: Annotated[int | None, Meta(description="Its own rate while it is open")]
    channels: Annotated[int | None, Meta(description="Channels in use while it is open")]
    resampled: Annotated[bool, Meta(description="Whether its rate is not the session's")]
    callback_age_s: Annotated[float | None, Meta(description="Since it last brought or took sound")]
    xruns: Annotated[int, Meta(description="Overruns or underruns that the device reported")]
    restarts: Annotated[int, Meta(description="How often its stream was closed after it had been open")]
    level_db: Annotated[
        float | None,
        Meta(description="Peak of its last second, dBFS; -90.3 is silence, null: it is not open"),
    ] = None


class Settings(Struct, frozen=True):
    """What people set."""

    muted: Annotated[bool, Meta(description="Whether the microphone is closed on purpose")]
    volume: Annotated[int, Meta(description="0 to 130; 100 leaves answers as they come")]
    gate: Annotated[str, Meta(description="What is sent: `always`, `voice` or `push-to-talk`")]
    talking: Annotated[bool, Meta(description="Whether the button is pressed")]
    echo: Annotated[str, Meta(description="What is done about echo now, as in the metrics")]
    erle_db: Annotated[float | None, Meta(description="How much softer the canceller makes the echo")]


class Turn(Struct, frozen=True):
    """How soon an answer was heard; the three parts add up, from the end of speech as the server told it."""

    ago_s: Annotated[float, Meta(description="Since its first sound was heard")]
    model_s: Annotated[float, Meta(description="From the end of speech to the first audio that arrived")]
    client_s: Annotated[
        float, Meta(description="From there until the loudspeaker's device was given the first sample")
    ]
    device_s: Annotated[float, Meta(description="From there until it was heard, as the device reports it")]
    interrupted: Annotated[bool, Meta(description="Whether the user cut it short")] = False


class Conversation(Struct, frozen=True):
    """What was done since the start."""

    doing: Annotated[
        str | None, Meta(description="`idle`, `listening`, `thinking` or `speaking`; null without a session")
    ]
    turns_begun: Annotated[int, Meta(description="Times that somebody began to speak")]
    answers: Annotated[int, Meta(description="Answers that began to sound")]
    interruptions: Annotated[int, Meta(description="Answers that somebody spoke over")]
    answers_failed: Annotated[int, Meta(description="Answers that ended without doing their work")]
    turns: Annotated[tuple[Turn, ...], Meta(description="The last ten that were answered, newest first")]


class Allowance(Struct, frozen=True):
    """What the day has used."""

    audio_s: Annotated[float, Meta(description="Sound sent and received")]
    audio_limit_s: Annotated[float | None, Meta(description="How much there may be; null: no limit")]
    tokens: Annotated[int, Meta(description="Tokens that the provider counted")]
    tokens_limit: Annotated[int | None, Meta(description="How many there may be; null: no limit")]


class ToolServer(Struct, frozen=True):
    """An MCP server."""

    name: Annotated[str, Meta(description="As the operator calls it")]
    connected: Annotated[bool, Meta(description="Whether it is; the log says why not")]
    tools: Annotated[int, Meta(description="Tools that it offers now")]


class Fault(Struct, frozen=True):
    """Something that went wrong."""

    kind: Annotated[str, Meta(description="What, in a few stable words")]
    count: Annotated[int, Meta(description="How often, while it was in this list")]
    last_ago_s: Annotated[float, Meta(description="How long ago the last time was")]


class Component(Struct, frozen=True):
    """A part of the daemon that is watched."""

    name: Annotated[str, Meta(description="As in the metrics")]
    up: Annotated[bool, Meta(description="Whether it works")]
    reason: Annotated[str, Meta(description="Why it is down; empty while it is up")]
    troubles: Annotated[int, Meta(description="How often it was found hanging or had ended")]


class Report(Struct, frozen=True):
    """All of it."""

    version: Annotated[str, Meta(description="The daemon's")]
    uptime_s: Annotated[float, Meta(description="Since the daemon began")]
    ready: Annotated[bool, Meta(description="Whether it can converse now: there are no `problems`")]
    healthy: Annotated[bool, Meta(description="Whether a restart would not help")]
    state: Annotated[State, Meta(description="Of the session, as in the metrics")]
    summary: Annotated[str, Meta(description="One line, as `systemctl status` shows it")]
    problems: Annotated[tuple[Problem, ...], Meta(description="Why it cannot converse now")]
    session: Annotated[Link, Meta(description="With the provider")]
    microphone: Annotated[End, Meta(description="Sound in")]
    loudspeaker: Annotated[End, Meta(description="Sound out")]
    controls: Annotated[Settings, Meta(description="What people set")]
    conversation: Annotated[Conversation, Meta(description="Since the start")]
    allowance: Annotated[Allowance, Meta(description="Of the day")]
    timers: Annotated[dict[str, int], Meta(description="How many are set, by kind: `timer`, `alarm`")]
    tool_servers: Annotated[tuple[ToolServer, ...], Meta(description="MCP servers")]
    faults: Annotated[tuple[Fault, ...], Meta(description="The last twenty kinds, newest first")]
    components: Annotated[tuple[Component, ...], Meta(description="All parts that are or were watched")]


class Health(Struct, frozen=True):
    """`/healthz`: whether a restart would help."""

    healthy: bool
    problems: tuple[Problem, ...]


class Readiness(Struct, frozen=True):
    """`/readyz`: whether the daemon can converse now."""

    ready: bool
    problems: tuple[Problem, ...]


# ------------------------------------------------------------------------------------------ judging

SESSION_ADVICE: Mapping[State, str] = {
    "connecting": "It has only begun; if this lasts: journalctl -u voice-agent",
    "waiting": "It tries again by itself; if this lasts: voice-agent doctor",
    "refused": "Check key, model and quota: voice-agent doctor --only handshake",
    "exhausted": "It goes on tomorrow; the limits are in the section [budget] of the configuration",
}
"""States without a conversation. While parked, whoever speaks gets one."""

DEVICE_ADVICE = "Is it plugged in? `voice-agent devices` lists what there is; then: voice-agent doctor"
HANG_ADVICE = "It heals itself, or ends the process, within a minute; sooner: systemctl restart voice-agent"


def hangs(hanging: Mapping[str, str]) -> tuple[Problem, ...]:
    """What a restart could cure: components that owe a sign of life, and why they are thought to hang."""
    return tuple(Problem(name, reason, HANG_ADVICE, restart_helps=True) for name, reason in hanging.items())


def problems(
    state: State, connection: str, ends: Mapping[str, End], hanging: Mapping[str, str], *, muted: bool
) -> tuple[Problem, ...]:
    """Why nobody can converse now. ``ends``: ``microphone`` and ``loudspeaker``."""
    found = list(hangs(hanging))
    if state in SESSION_ADVICE:
        found.append(Problem("session", connection, SESSION_ADVICE[state]))
    return (*found, *_silent_ends(ends, muted=muted))


def _silent_ends(ends: Mapping[str, End], *, muted: bool) -> Iterator[Problem]:
    for name, end in ends.items():
        if name == "microphone" and muted:
            continue
        if end.condition != "open":
            reason = f"{end.condition} ({end.reason})" if end.reason else end.condition
            yield Problem(name, reason, DEVICE_ADVICE)
        elif end.callback_age_s is not None and end.callback_age_s > SILENT_S:
            yield Problem(name, f"open, and still for {end.callback_age_s:.0f} s", DEVICE_ADVICE)
