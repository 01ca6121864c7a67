"""From the client's audio to utterances: resampling, voice activity, endpointing. No I/O, no clock.

Time is counted in samples at 16 kHz since the session's first sample and never goes back, whatever is
committed, cleared or reconfigured in between.

        prefix_padding     speech                   silence_duration
      |-----------------|--------------------------|--------------|
      ^ audio_start_ms   ^ probability >= threshold                ^ audio_end_ms

Below ``threshold - 0.15`` is silence; between the two speech goes on if there is some (hysteresis).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from voice_agent.embedded.engines import FRAME_SAMPLES, HEARING_RATE, Resampler, Vad
from voice_agent.formats import BYTES_PER_SAMPLE, ms_to_samples, samples_to_ms
from voice_agent.realtime.events import TurnDetection

ONSET_FRAMES = 2
"""64 ms over the threshold begin an utterance: one frame alone is a click."""
HYSTERESIS = 0.15
GUESS_MS = 160
"""After this much silence recognition starts on the chance that the utterance is over."""
LONGEST_MS = 60_000
"""An utterance is ended here, and a manual one forgets its beginning: noise must not fill the memory."""
FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class Began:
    """Speech; ``start_ms`` includes the padding before it."""

    start_ms: int


@dataclass(frozen=True, slots=True)
class Paused:
    """A silence that may become the end; ``pcm`` is the utterance so far, at 16 kHz."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Resumed:
    """The pause was none."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is over; ``end_ms`` includes the silence that ended it."""

    end_ms: int
    pcm: bytes


Heard = Began | Paused | Resumed | Ended


def given(value: float | UnsetType, default: float) -> float:
    """An optional number, or its default."""
    return default if value is UNSET else value


class Hearing:
    """One connection's ears. ``detection`` ``None``: no endpointing, the client commits by hand."""

    def __init__(
        self,
        vad: Vad,
        new_resampler: Callable[[int], Resampler],
        rate: int,
        detection: TurnDetection | None,
    ) -> None:
        self._vad = vad
        self._new_resampler = new_resampler
        self._rate = rate
        self._resampler = new_resampler(rate)
        self._detection = detection
        self._odd = b""  # half a sample that waits for its other half
        self._pcm = bytearray()  # 16 kHz audio that is not committed
        self._end = 0  # position after the last sample of _pcm
        self._judged = 0  # position after the last frame that the detector saw
        self._speaking = False
        self._onset = 0  # frames over the threshold in a row
        self._silence = 0  # samples of silence in a row
        self._guessed = False

    def configure(self, rate: int, detection: TurnDetection | None) -> None:
        """Follow a ``session.update``; what was heard stays heard."""
        if rate != self._rate:
            self._rate, self._resampler, self._odd = rate, self._new_resampler(rate), b""
        if detection is None:
            self._quiet()
        self._detection = detection

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        """Take PCM16 at the client's rate (any number of bytes); say what it means."""
        pcm = self._odd + pcm
        whole = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
        self._odd = pcm[whole:]
        heard = self._resampler.feed(pcm[:whole])
        self._pcm += heard
        self._end += len(heard) // BYTES_PER_SAMPLE
        yield from self._judge()

    def commit(self) -> bytes:
        """Take the uncommitted audio, at 16 kHz."""
        self._judged = self._end
        return self._take()

    def clear(self) -> None:
        """Forget the uncommitted audio."""
        self.commit()

    @property
    def uncommitted_ms(self) -> int:
        """How much audio a commit would take."""
        return samples_to_ms(len(self._pcm) // BYTES_PER_SAMPLE, HEARING_RATE)

    @property
    def heard_ms(self) -> int:
        """Audio since the session began."""
        return samples_to_ms(self._end, HEARING_RATE)

    # ------------------------------------------------------------------------------- endpointing

    def _judge(self) -> Iterator[Heard]:
        if self._detection is None:
            self._judged = self._end
            self._forget(ms_to_samples(LONGEST_MS, HEARING_RATE))
            return
        while self._end - self._judged >= FRAME_SAMPLES:
            at = self._judged_bytes
            frame = bytes(self._pcm[at : at + FRAME_BYTES])
            self._judged += FRAME_SAMPLES
            yield from self._step(self._vad.probability(frame), self._detection)

    def _step(self, probability: float, detection: TurnDetection) -> Iterator[Heard]:
        threshold = given(detection.threshold, 0.5)
        if self._speaking:
            yield from self._continue(probability, threshold, detection)
            return
        self._onset = self._onset + 1 if probability >= threshold else 0
        self._forget(ms_to_samples(given(detection.prefix_padding_ms, 300), HEARING_RATE))
        if self._onset >= ONSET_FRAMES:
            self._speaking = True
            self._silence, self._guessed = 0, False
            yield Began(samples_to_ms(self._start, HEARING_RATE))

    def _continue(self, probability: float, threshold: float, detection: TurnDetection) -> Iterator[Heard]:
        if probability >= threshold - HYSTERESIS:
            self._silence = 0
            if self._guessed:
                self._guessed = False
                yield Resumed()
        else:
            self._silence += FRAME_SAMPLES
        patience = ms_to_samples(given(detection.silence_duration_ms, 500), HEARING_RATE)
        too_long = self._judged - self._start >= ms_to_samples(LONGEST_MS, HEARING_RATE)
        if self._silence >= max(patience, 1) or too_long:
            yield Ended(samples_to_ms(self._judged, HEARING_RATE), self._take())
        elif self._silence >= min(patience, ms_to_samples(GUESS_MS, HEARING_RATE)) and not self._guessed:
            self._guessed = True
            yield Paused(bytes(self._pcm[: self._judged_bytes]))

    @property
    def _start(self) -> int:
        return self._end - len(self._pcm) // BYTES_PER_SAMPLE

    @property
    def _judged_bytes(self) -> int:
        return (self._judged - self._start) * BYTES_PER_SAMPLE

    def _forget(self, padding: int) -> None:
        """Keep the padding and what may yet turn out to be speech, nothing older."""
        keep = padding + self._onset * FRAME_SAMPLES + (self._end - self._judged)
        del self._pcm[: max(0, len(self._pcm) - keep * BYTES_PER_SAMPLE)]

    def _take(self) -> bytes:
        """The audio up to the last frame judged; what came after it may begin the next utterance."""
        self._quiet()
        size = self._judged_bytes
        taken = bytes(self._pcm[:size])
        del self._pcm[:size]
        return taken

    def _quiet(self) -> None:
        self._speaking, self._guessed = False, False
        self._onset = self._silence = 0
