"""What tools get hold of: the running daemon, as far as a person may command it by voice."""

from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import Protocol

from voice_agent.audio.valve import Mode
from voice_agent.controls.panel import Controls
from voice_agent.dialogue import Memory
from voice_agent.dialogue.memory import AgentLine
from voice_agent.errors import ToolError
from voice_agent.herald import Herald
from voice_agent.ports import Ports
from voice_agent.sessions import Sessions
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.snapshot import State
from voice_agent.tools.device import Said

CONNECTION: Mapping[State, str] = {
    "connecting": "connecting",
    "live": "connected",
    "parked": "at rest until somebody speaks",
    "waiting": "lost, trying again",
    "refused": "refused by the service",
    "exhausted": "today's allowance is used up",
}


class Parts(Protocol):
    """The parts of the daemon that are of use here."""

    @property
    def ports(self) -> Ports:
        """The ends of the sound."""

    @property
    def sessions(self) -> Sessions:
        """The conversation."""

    @property
    def controls(self) -> Controls:
        """What people can do to the device."""

    @property
    def herald(self) -> Herald:
        """Who knows how the connection is."""

    @property
    def counters(self) -> Counters:
        """What has happened since the start."""


class Handle:
    """A ``Device`` for tools. ``unmute_by``: what opens the microphone again; empty if nothing could.

    The parts are looked up when they are used: tools are made before them.
    """

    def __init__(self, parts: Parts, memory: Memory, *, unmute_by: str) -> None:
        self._parts = parts
        self._memory = memory
        self._unmute_by = unmute_by
        self._began = monotonic()

    @property
    def volume(self) -> int:
        """The loudspeaker's volume, 0 to 130."""
        return self._parts.controls.volume

    def set_volume(self, level: int) -> int:
        """Change the volume, as far as it goes; the new one."""
        return self._parts.controls.set_volume(level)

    def mute(self) -> str:
        """Close the microphone, unless nothing could open it again."""
        if not self._unmute_by:
            raise ToolError("nothing could unmute it again: this device has no control socket")
        self._parts.controls.mute(muted=True)
        return self._unmute_by

    def stop(self) -> None:
        """Be quiet."""
        self._parts.controls.stop()

    def last_answer(self) -> Said | None:
        """What was heard of the last answer before this turn."""
        live = self._parts.sessions.live
        now = live.dialogue.turn if live else inf
        lines = [line for line in self._memory if isinstance(line, AgentLine) and line.turn < now]
        if not lines:
            return None
        last = [line for line in lines if line.turn == lines[-1].turn]
        return Said(" ".join(line.text for line in last), last[-1].cut)

    def end(self) -> str:
        """Close the session once the goodbye was heard."""
        if not self._parts.sessions.park():
            raise ToolError("there is no conversation that could end")
        ports = self._parts.ports
        if ports.muted:
            return "unmuting the microphone, and speaking"
        if not ports.hearing:
            return "speaking, once the microphone works again"
        return "pressing the button" if ports.valve.mode is Mode.BUTTON else "speaking"

    def status(self) -> Mapping[str, object]:
        """How the device is: no secrets, no addresses, no words of anybody."""
        ports, devices = self._parts.ports, self._parts.ports.devices.state()
        return {
            "connection": CONNECTION[self._parts.herald.state],
            **self._link(),
            "microphone": devices.input.condition.value,
            "loudspeaker": devices.output.condition.value,
            "muted": ports.muted,
            "volume": self.volume,
            "uptime_s": round(monotonic() - self._began),
        }

    def _link(self) -> Mapping[str, object]:
        sessions, counts = self._parts.sessions, self._parts.counters.statistics()
        planned = 1 + counts.renewals + counts.parkings + counts.exhaustions
        facts: dict[str, object] = {"reconnects": max(counts.sessions - planned, 0)}
        if counts.last_disconnect:
            facts["last_disconnect"] = counts.last_disconnect.replace("_", " ")
        if sessions.live and (age_s := sessions.age_s) is not None:
            facts["connected_s"] = round(age_s)
            if (rtt_s := sessions.live.statistics().heartbeat.rtt_s) is not None:
                facts["round_trip_ms"] = round(rtt_s * 1000)
        return facts
