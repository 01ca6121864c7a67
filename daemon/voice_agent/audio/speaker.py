"""The loudspeaker as the event loop sees it: play, silence, and how far the listener has heard.

The server speaks faster than real time, so the ring holds minutes, not milliseconds, and is the only
buffer: no feeder task, one flush. Only an answer longer than the ring spills into a queue on the loop's
side, which timers move on as the ring drains; it belongs to the same positions and the same flush.

What arrives piece by piece is not played at once, but when the next pieces are likely to be in time:
``jitter`` says when, the callback obeys. Volume and ducking are one gain, which the callback follows.

Everything in this file runs on, and is written by, the event loop. The callback's half is ``playout``.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple

from voice_agent.audio.edge import Callback
from voice_agent.audio.gain import db_to_gain, steps
from voice_agent.audio.jitter import Jitter
from voice_agent.audio.pcm import Samples, level_db, samples_in
from voice_agent.audio.playout import Playout
from voice_agent.audio.quiet import Order, Quiet
from voice_agent.audio.ring import SampleRing
from voice_agent.distribution import Distribution
from voice_agent.formats import Sounded, ms_to_samples, samples_to_s

MAX_LATENCY_S = 2  # Bluetooth has a quarter of it; the playout's marks do not reach much further back
FAINT_MS = 60.0  # a tick; whoever listens for speech does not take it for any
REFILL_S = 1.0  # a ring refilled once a second cannot run dry if it holds several
RAMP_MS = 10.0
"""How long a change of the gain takes: longer than a click, shorter than a syllable."""


class Positions(NamedTuple):
    """Where the playout stands, in samples."""

    queued: int
    """Where the next sample played will stand."""
    played: int
    """Samples that have left the loudspeaker, or were flushed before they could."""


class SpeakerStatistics(NamedTuple):
    """A snapshot of the counters, in samples where nothing else is said."""

    played: int
    """Content given to the device."""
    flushed: int
    """Given up by ``silence`` before it was played."""
    faded: int
    """Played with a falling gain, because ``silence`` cut what was sounding."""
    lost_samples: int
    """Refused: ring and spill were full."""
    spilled: int
    """Waiting for room in the ring, now."""
    gaps: int
    """Times that silence tore a stretch of speech."""
    gap_samples: int
    xruns: int
    """Blocks before which PortAudio reported an output underflow."""
    callbacks: int
    callback_errors: int
    last_callback: float
    """Monotonic seconds; zero before the first callback."""
    untapped: int = 0
    """Samples that a full tap refused."""
    lateness_s: float = 0.0
    """By how much pieces of an answer come too late for their pace: nearly all by less."""
    hold_s: float = 0.0
    """How long the next beginning will wait for that; zero if the server is ahead anyway."""


class Speaker:
    """A mono PCM16 loudspeaker at one rate; ``callback`` is for PortAudio, the rest for the event loop.

    ``clock``: monotonic seconds.
    """

    def __init__(
        self,
        rate: int,
        *,
        capacity_s: float = 120.0,
        fade_ms: float = 5.0,
        spill_s: float = 900.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._jitter = Jitter(rate)
        self._volume = 1.0
        self._duck_db = 0.0
        self._ring = SampleRing(ms_to_samples(capacity_s * 1000, rate))
        fade, ramp = ms_to_samples(fade_ms, rate), ms_to_samples(RAMP_MS, rate)
        self._playout = Playout(self._ring, fade, ramp, clock=clock)
        self.callback: Callback = self._playout.callback
        self._refill_s = min(REFILL_S, capacity_s / 4)
        self._refill: asyncio.TimerHandle | None = None
        self._spill: deque[Samples] = deque()
        self._spilled = 0
        self._spill_limit = ms_to_samples(spill_s * 1000, rate)
        self._unspilled = 0
        self._lost_samples = 0
        self._latency = 0
        self._played = 0
        self._chime_end = 0
        self._quiet = Quiet()
        self._free_at = 0.0  # until when the newest beginning is held back, or was

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        """Append PCM16 audio (whole samples) to what is playing.

        ``starts`` says that a stretch of speech begins here: silence before it is a pause, not a gap.
        """
        if self.chimes:
            self.silence()
        self._sounds_again()
        position, dry = self._ring.written + self._spilled, not self._ring.queued
        if starts:
            self._playout.seams.append(position)
        now = self._clock()
        # Before the samples: the callback must not find them without it.
        not_before = self._jitter.arrived(now, position, starts=starts, dry=dry)
        self._playout.not_before = not_before
        if (starts and dry) or now < self._free_at:
            self._free_at = max(now, not_before)
        samples = samples_in(pcm)
        if not self._spill:
            samples = samples[self._ring.write(samples) :]
        if len(samples):
            self._keep(samples)

    def chime(self, pcm: bytes) -> bool:
        """Play a sound that is no part of a conversation; ``False``: something else is still to be heard.

        It gives way to ``play`` at once. What the ring has no room for is left out: as it never spills, its
        end does not move ``queued``, which a dialogue has read before it plays.
        """
        queued, played = self.positions()
        if queued > played:
            return False
        self._sounds_again()
        self._playout.seams.append(queued)
        self._playout.not_before = 0.0
        samples = samples_in(pcm)
        if len(samples) <= ms_to_samples(FAINT_MS, self.rate):
            self._playout.faint_until = queued + len(samples)
        self._ring.write(samples)
        self._chime_end = self._ring.written
        self._playout.seams.append(self._chime_end)
        return True

    @property
    def chimes(self) -> bool:
        """Whether what is still to be heard is a chime."""
        return self._ring.written == self._chime_end > self.positions().played

    def finish(self) -> None:
        """The stretch of speech is complete: what is held back plays, and silence after it is no gap."""
        self._playout.seams.append(self._ring.written + self._spilled)
        self._playout.not_before = 0.0
        self._free_at = min(self._free_at, self._clock())
        self._jitter.rest()

    def silence(self) -> None:
        """Fall silent within one block; what was queued will not be heard.

        Spilled audio leaves the timeline: ``queued`` then returns to the end of what had entered the ring.
        A hold ends.
        """
        self._ordered(Order.FLUSH)
        self._unspilled += self._spilled
        self._spill.clear()
        self._spilled = 0
        if self._refill:
            self._refill.cancel()
            self._refill = None
        self._ring.flush()
        # After the flush and as a new list: the callback may be taking from the old one.
        self._playout.seams = deque((self._ring.written,))
        self._playout.held = False  # after the flush: nothing of the old is to sound again
        self._jitter.rest()

    def positions(self) -> Positions:
        """Where the playout stands. ``played`` never falls, and rests while no stream is running."""
        self._played = max(self._played, self._playout.heard(self._latency))
        return Positions(self._ring.written + self._spilled, self._played)

    def sounded(self, position: int) -> Sounded | None:
        """How the sample at ``position`` came out, once it was given to the device: not long ago."""
        found = self._playout.given_at(position)
        if found is None:
            return None
        at, begin = found
        given_at = at + samples_to_s(position - begin, self.rate)
        return Sounded(self._free_at, given_at, given_at + samples_to_s(self._latency, self.rate))

    # ------------------------------------------------------------------------------- how it sounds

    def set_volume(self, gain: float) -> None:
        """Multiply what plays by ``gain``: 1 is bit-exact, 4 (+12 dB) the most; above 1, peaks are bent."""
        self._volume = gain
        self._set_gain()

    def duck(self, db: float) -> None:
        """Play this much more softly than the volume says; 0: no more."""
        self._duck_db = db
        self._set_gain()

    def _set_gain(self) -> None:
        self._playout.gain.wanted = steps(self._volume * db_to_gain(-self._duck_db))

    def hold(self) -> None:
        """Fade out and stand still: positions rest, and nothing is lost. ``silence`` ends it, too.

        A chime is not worth it: it is silenced.
        """
        if self.chimes:
            self.silence()
        else:
            self._ordered(Order.HOLD)
            self._playout.held = True

    def resume(self) -> None:
        """Fade in and go on where ``hold`` has stopped."""
        self._sounds_again()
        self._playout.held = False

    @property
    def held(self) -> bool:
        """Whether the playout stands still."""
        return self._playout.held

    def tap(self, capacity_s: float) -> SampleRing:
        """A ring that gets every block as it is given to the device, gains and silence included.

        The reader is the caller, on the loop; the ring of an earlier one gets nothing more. A full ring
        refuses the newest, which ``untapped`` counts.
        """
        ring = SampleRing(ms_to_samples(capacity_s * 1000, self.rate))
        self._playout.tap = ring
        return ring

    @property
    def sounding_at(self) -> float:
        """When anything but silence was last given to the device, in monotonic seconds; zero: never."""
        return self._playout.sounding_at

    def level_db(self) -> float:
        """The peak of what was given to the device in the last second, dBFS, at the present volume."""
        spans = self._playout.given(self.rate)
        parts = (part for position, count in spans for part in self._ring.past(position, count))
        return level_db(parts, self._volume * db_to_gain(-self._duck_db))

    # ------------------------------------------------------------------------------- where it stands

    def set_latency(self, samples: int) -> None:
        """Tell the latency of a newly opened stream, before it starts."""
        self._latency = min(samples, MAX_LATENCY_S * self.rate)
        self._playout.interrupted()

    @property
    def latency(self) -> int:
        """How far the loudspeaker is behind the callback, in samples."""
        return self._latency

    def statistics(self) -> SpeakerStatistics:
        """The counters as they are now."""
        playout = self._playout
        return SpeakerStatistics(
            played=playout.played,
            flushed=playout.flushed + self._unspilled,
            faded=playout.faded,
            lost_samples=self._lost_samples,
            spilled=self._spilled,
            gaps=playout.gaps,
            gap_samples=playout.gap_samples,
            xruns=playout.xruns,
            callbacks=playout.callbacks,
            callback_errors=playout.callback_errors,
            last_callback=playout.last_callback,
            untapped=playout.untapped,
            lateness_s=self._jitter.lateness_s,
            hold_s=self._jitter.hold_s,
        )

    def quiet_s(self) -> Mapping[str, Distribution]:
        """How soon it fell silent when it was told to, by what was told (``Order``)."""
        self._settle_quiet()
        return {order.value: times.copy() for order, times in self._quiet.times.items()}

    def _ordered(self, order: Order) -> None:
        """Measure how long it takes, if there is anything to be silenced."""
        self._settle_quiet()
        if self._ring.queued and not self._playout.held and not self.chimes:
            self._quiet.ordered(order, self._clock(), self._playout.callbacks)

    def _sounds_again(self) -> None:
        self._settle_quiet()
        self._quiet.forget()

    def _settle_quiet(self) -> None:
        at, sound = self._playout.ended
        self._quiet.settle(self._playout.callbacks, at + samples_to_s(sound, self.rate))

    def _keep(self, samples: Samples) -> None:
        kept = samples[: self._spill_limit - self._spilled]
        self._lost_samples += len(samples) - len(kept)
        if len(kept):
            self._spill.append(kept)
            self._spilled += len(kept)
            self._refill = self._refill or self._refill_later()

    def _refill_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._refill_s, self._refill_ring)

    def _refill_ring(self) -> None:
        while self._spill:
            samples = self._spill.popleft()
            accepted = self._ring.write(samples)
            self._spilled -= accepted
            if accepted < len(samples):
                self._spill.appendleft(samples[accepted:])
                break
        self._refill = self._refill_later() if self._spill else None
