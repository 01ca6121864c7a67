"""The loudspeaker as the event loop sees it: play, silence, and how far the listener has heard.

The server speaks faster than real time, so the ring holds minutes, not milliseconds, and is the only
buffer: no feeder task, one flush. Only an answer longer than the ring spills into a queue on the loop's
side, which timers move on as the ring drains; it belongs to the same positions and the same flush.

Everything in this file runs on, and is written by, the event loop. The callback's half is ``playout``.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from voice_agent.audio.edge import Callback
from voice_agent.audio.pcm import Samples, samples_in
from voice_agent.audio.playout import Playout
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import ms_to_samples

MAX_LATENCY_S = 2  # Bluetooth has a quarter of it; the playout's marks do not reach much further back
REFILL_S = 1.0  # a ring refilled once a second cannot run dry if it holds several


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


class Speaker:
    """A mono PCM16 loudspeaker at one rate; ``callback`` is for PortAudio, the rest for the event loop."""

    def __init__(
        self, rate: int, *, capacity_s: float = 120.0, fade_ms: float = 5.0, spill_s: float = 900.0
    ) -> None:
        self.rate = rate
        self._ring = SampleRing(ms_to_samples(capacity_s * 1000, rate))
        self._playout = Playout(self._ring, ms_to_samples(fade_ms, rate))
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

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        """Append PCM16 audio (whole samples) to what is playing.

        ``starts`` says that a stretch of speech begins here: silence before it is a pause, not a gap.
        """
        if self._ring.written == self._chime_end > self.positions().played:
            self.silence()
        if starts:
            self._playout.starts.append(self._ring.written + self._spilled)
        samples = samples_in(pcm)
        if not self._spill:
            samples = samples[self._ring.write(samples) :]
        if len(samples):
            self._keep(samples)

    def chime(self, pcm: bytes) -> None:
        """Play a sound that is no part of a conversation, unless something is still to be heard.

        It gives way to ``play`` at once. What the ring has no room for is left out: as it never spills, its
        end does not move ``queued``, which a dialogue has read before it plays.
        """
        queued, played = self.positions()
        if queued <= played:
            self._playout.starts.append(queued)
            self._ring.write(samples_in(pcm))
            self._chime_end = self._ring.written

    def silence(self) -> None:
        """Fall silent within one block; what was queued will not be heard.

        Spilled audio leaves the timeline: ``queued`` then returns to the end of what had entered the ring.
        """
        self._unspilled += self._spilled
        self._spill.clear()
        self._spilled = 0
        if self._refill:
            self._refill.cancel()
            self._refill = None
        self._ring.flush()
        # After the flush and as a new list: the callback may be taking from the old one.
        self._playout.starts = deque((self._ring.written,))

    def positions(self) -> Positions:
        """Where the playout stands. ``played`` never falls, and rests while no stream is running."""
        self._played = max(self._played, self._playout.heard(self._latency))
        return Positions(self._ring.written + self._spilled, self._played)

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
        )

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
