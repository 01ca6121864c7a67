"""Is anybody there? When to ping, when to probe, and when a silent connection counts as dead.

Anything that arrives is a sign of life; so is, to the kernel, an acknowledged byte. Three ways to be dead:

=====================  ========================================================  ==========================
what is gone           who finds it                                              after
=====================  ========================================================  ==========================
the path (no ACKs)     the kernel: keep-alive, TCP_USER_TIMEOUT over the pings'  6 to 10 s; 13 s if a ping
                       or the sound's bytes (``wire``)                           has just been acknowledged
the server, the path   a pong is missing, and a probe in between                 10 s after the first ping
up to a proxy lives    was not answered either                                   into the void: 13 s
the same, and it never a probe, after ``quiet_s`` of silence, is not answered    30 s after the last word
answered pings
=====================  ========================================================  ==========================

Some servers never answer pings (observed: Yandex), so a missing pong means something only where there was
one before, and even there a probe is asked for a second opinion before the verdict: an answer to it shows
that the server lives and has merely stopped answering pings. The probe is an event that changes nothing
and that every server answers (a ``session.update`` with what is in force).

Time in which this process did not run is not the server's silence: a late ``wake`` moves every limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

PING_S = 3.0
"""With the 10 s below, or the kernel's, whatever dies is found within 14 s; a hundred bytes each time."""

PATIENCE_S = 10.0
"""From a ping or a probe to the verdict: a handover between cells or access points takes some seconds."""

QUIET_S = 20.0
PROBE_EVERY_S = 30.0
"""Silence before the first probe; time between two that were answered. An answer is a kilobyte or two."""

LATE_S = 1.0
"""A wake later than this: the process was stopped, or the loop was blocked."""

REMEMBERED_PINGS = 8
"""A server that never answers must not make the book grow."""

RTT_GAIN = 1 / 8
"""Of a new round trip in the smoothed one (RFC 6298, 2.3)."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a protocol ping with this payload, and say ``pinged`` if it went out."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Probe:
    """Send the event that every server answers."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Give the connection up."""

    text: str


Deed = Ping | Probe | Dead


class HeartbeatStatistics(NamedTuple):
    """A snapshot. Round trips in seconds, None before the first pong; ``heard_at`` in monotonic seconds.

    ``answers_pings`` is None while nobody can know.
    """

    rtt_s: float | None
    rtt_min_s: float | None
    rtt_smoothed_s: float | None
    pings: int
    pongs: int
    probes: int
    answers_pings: bool | None
    heard_at: float


class Heartbeat:
    """One connection's signs of life: told what arrives, asked what to do when ``deadline`` comes.

    ``ping_s`` (at most half the patience) None: no pings; the kernel's keep-alive and the probes remain.
    Between two wakes the deadline only moves away, so whoever sleeps until it never sleeps too long.
    """

    def __init__(
        self,
        *,
        now: float,
        ping_s: float | None = PING_S,
        patience_s: float = PATIENCE_S,
        quiet_s: float = QUIET_S,
        probe_every_s: float = PROBE_EVERY_S,
    ) -> None:
        self._ping_s = ping_s
        self._patience_s = patience_s
        self._quiet_s = quiet_s
        self._probe_every_s = probe_every_s
        self._heard_at = now
        self._ping_at = inf if ping_s is None else now + ping_s
        self._sent: dict[bytes, float] = {}
        self._pong_missing_since: float | None = None
        self._probed_at = -inf
        self._probe_open = False
        self._answers: bool | None = None
        self._dead = False
        self._numbered = 0
        self._pings = self._pongs = self._probes = 0
        self._rtt_s: float | None = None
        self._rtt_min_s: float | None = None
        self._rtt_smoothed_s: float | None = None

    # ------------------------------------------------------------------------------ what has happened

    def inbound(self, now: float) -> None:
        """A frame of any kind has arrived."""
        if self._probe_open and self._missing_for(now) >= self._patience_s / 2:
            self._answers = False  # it lives, and has left our pings unanswered
        self._probe_open = False
        self._heard_at = now

    def pinged(self, payload: bytes, now: float) -> None:
        """A ping has gone out."""
        self._pings += 1
        self._sent[payload] = now
        if len(self._sent) > REMEMBERED_PINGS:
            del self._sent[next(iter(self._sent))]
        if self._pong_missing_since is None:
            self._pong_missing_since = now

    def pong(self, payload: bytes, now: float) -> None:
        """A pong has arrived; one that answers nothing of ours is only a sign of life (RFC 6455, 5.5.3)."""
        self._probe_open = False
        self._heard_at = now
        if payload not in self._sent:
            return
        self._answers = True
        self._pongs += 1
        self._measure(now - self._sent[payload])
        self._forget_up_to(payload)

    # --------------------------------------------------------------------------------- what to do now

    @property
    def deadline(self) -> float:
        """When ``wake`` is due, in monotonic seconds; infinite after the verdict."""
        return inf if self._dead else min(self._ping_at, self._probe_due(), self._dead_at())

    def wake(self, now: float) -> Sequence[Deed]:
        """What is due; nothing, if it comes too early."""
        self._forgive(now - self.deadline)
        if self._dead:
            return []
        if now >= self._dead_at():
            self._dead = True
            return [Dead(f"the server has given no sign of life for {now - self._heard_at:.0f} s")]
        if self._answers is None and self._missing_for(now) >= self._patience_s:
            self._answers = False
        deeds: list[Deed] = []
        if now >= self._probe_due():
            deeds.append(self._probe(now))
        if now >= self._ping_at:
            deeds.append(self._ping(now))
        return deeds

    def statistics(self) -> HeartbeatStatistics:
        """Counters and round trips so far."""
        return HeartbeatStatistics(
            self._rtt_s,
            self._rtt_min_s,
            self._rtt_smoothed_s,
            self._pings,
            self._pongs,
            self._probes,
            self._answers,
            self._heard_at,
        )

    def _probe_due(self) -> float:
        if self._probe_open:
            return inf
        if self._answers:
            return self._doubted_since() + self._patience_s / 2
        return max(self._heard_at + self._quiet_s, self._probed_at + self._probe_every_s)

    def _dead_at(self) -> float:
        no_pong = self._doubted_since() + self._patience_s if self._answers else inf
        no_answer = self._probed_at + self._patience_s if self._probe_open else inf
        return min(no_pong, no_answer)

    def _doubted_since(self) -> float:
        """Since when neither the pong that is due nor anything else has come."""
        missing_since = self._pong_missing_since
        return inf if missing_since is None else max(missing_since, self._heard_at)

    def _missing_for(self, now: float) -> float:
        return 0.0 if self._pong_missing_since is None else now - self._pong_missing_since

    def _forgive(self, late_s: float) -> None:
        if not LATE_S < late_s < inf:
            return
        self._heard_at += late_s
        self._probed_at += late_s
        if self._pong_missing_since is not None:
            self._pong_missing_since += late_s

    def _probe(self, now: float) -> Probe:
        self._probes += 1
        self._probe_open = True
        self._probed_at = now
        return Probe()

    def _ping(self, now: float) -> Ping:
        self._ping_at = now + (self._ping_s or inf)
        self._numbered += 1
        return Ping(b"%d" % self._numbered)

    def _measure(self, rtt_s: float) -> None:
        smoothed = rtt_s if self._rtt_smoothed_s is None else self._rtt_smoothed_s
        self._rtt_s = rtt_s
        self._rtt_min_s = rtt_s if self._rtt_min_s is None else min(rtt_s, self._rtt_min_s)
        self._rtt_smoothed_s = smoothed + RTT_GAIN * (rtt_s - smoothed)

    def _forget_up_to(self, payload: bytes) -> None:
        """A pong stands for earlier ones too: a server may answer the last ping alone (RFC 6455, 5.5.3)."""
        while next(iter(self._sent)) != payload:
            del self._sent[next(iter(self._sent))]
        del self._sent[payload]
        self._pong_missing_since = next(iter(self._sent.values()), None)
