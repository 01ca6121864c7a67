"""From the loudspeaker through the room to the microphone: how late, how loud, how well it can be cancelled.

    given to the device       lead | sweep | rest (the longest delay) | murmur | rest
    brought by the microphone        <---- round trip ----> sweep ...

Both streams are laid on one time line by their clocks (``streams``), and the recording is cut so that it
begins when the first sample was handed over. The place of the sweep in it is the round trip, from callback to
callback: what an echo canceller has to bridge. The sound system owns up to a part of it, as its latency; the
rest is the way through the air and what it hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voice_agent.doctor import canceller
from voice_agent.doctor.findings import Finding, fail, ok, warn
from voice_agent.doctor.signals import (
    LONGEST_S,
    SWEEP_S,
    Echo,
    Samples,
    enhancement_db,
    find_echo,
    levels,
    murmur,
    power_db,
    sweep,
)
from voice_agent.doctor.streams import Player, Recorder

LEAD_S = 0.3
REST_S = LONGEST_S + 0.2
MURMUR_S = 4.0
SWEEP_DBFS = -16.0
MURMUR_DBFS = -8.0
"""Peaks: about as loud as an answer, so that the figures hold for answers."""

AHEAD_S = 0.02
"""The reference leads the echo by so much: one that lags cannot be cancelled."""
LEARNED_S = 2.0
"""After this the canceller is expected to know the room."""

LATE_MS = 400.0
HIDDEN_MS = 100.0
LOUD_LOSS_DB = -6.0
GOOD_ERLE_DB = 15.0
FAINT_ECHO_DB = 20.0
"""Above the noise: a weaker echo leaves a canceller little to take away."""
TOO_LOUD = "turn the loudspeaker down, or move it away from the microphone"


class Course:
    """What is played, as a function of the rate."""

    def __init__(self, *, with_murmur: bool) -> None:
        self.with_murmur = with_murmur
        self.murmur_at_s = LEAD_S + SWEEP_S + REST_S
        self.seconds = self.murmur_at_s + (MURMUR_S + REST_S if with_murmur else 0.0)

    def sound(self, rate: int) -> Samples:
        """The whole of it at ``rate``."""
        whole = np.zeros(round(self.seconds * rate), np.int16)
        self._put(whole, sweep(rate, SWEEP_DBFS), LEAD_S, rate)
        if self.with_murmur:
            self._put(whole, murmur(rate, MURMUR_S, MURMUR_DBFS), self.murmur_at_s, rate)
        return whole

    @staticmethod
    def _put(whole: Samples, piece: Samples, at_s: float, rate: int) -> None:
        at = round(at_s * rate)
        whole[at : at + len(piece)] = piece


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of playing a course. ``told_s``: the latencies that the sound system claims, output first."""

    course: Course
    player: Player
    recorder: Recorder
    in_rate: int
    out_rate: int
    told_s: Sequence[float]

    @property
    def has_listened(self) -> bool:
        """Whether there was a microphone."""
        return self.recorder.taken > 0

    @property
    def is_torn(self) -> bool:
        """Whether the sweep, or what leads to it, has a hole: then it tells nothing."""
        ends = ((self.player.clock, self.out_rate), (self.recorder.clock, self.in_rate))
        return any(clock.is_torn(round(self.course.murmur_at_s * rate)) for clock, rate in ends)

    def recorded(self) -> Samples:
        """The recording from the moment at which the first sample was handed over, by the sweep's clocks."""
        samples = np.array(self.recorder.samples)
        at_s = LEAD_S + SWEEP_S / 2
        played = self.player.clock.zero(round(at_s * self.out_rate))
        heard = self.recorder.clock.zero(round(at_s * self.in_rate))
        begin = round((played - heard) * self.in_rate)
        return samples[begin:] if begin >= 0 else np.concatenate([np.zeros(-begin, np.int16), samples])


def judged_loopback(heard: Heard, *, latency_ms: float | None) -> list[Finding]:
    """All that can be told. ``latency_ms``: of the loudspeaker, if the operator has set it."""
    findings = [_judged_playing(heard)]
    if not heard.has_listened or heard.is_torn:
        return findings
    recorded = heard.recorded()
    echo = find_sweep(recorded, heard.in_rate)
    if echo is None:
        remedy = "headphones? then all is well; else look at the volume (alsamixer) and whether it is muted"
        return [*findings, warn("echo", "the microphone did not hear the loudspeaker", remedy, heard=False)]
    findings.append(judged_latency(echo.delay / heard.in_rate * 1000, heard.told_s, latency_ms))
    findings.append(judged_echo(echo, levels(recorded, heard.in_rate).clipped_share))
    if heard.course.with_murmur and canceller.is_installed():
        findings.append(judged_cancelling(*_cancelling(heard.course, recorded, echo, heard.in_rate)))
    return findings


def _judged_playing(heard: Heard) -> Finding:
    player, seconds = heard.player, heard.player.given / heard.out_rate
    figures = {"seconds": round(seconds, 2), "underflows": float(player.underflows)}
    if player.callback_errors:
        return fail("loudspeaker", "the stream's callback failed", "report this as a bug", **figures)
    if player.underflows:
        torn = ", so that no echo could be measured" if heard.is_torn else ""
        seen = f"played {seconds:.1f} s and ran dry {player.underflows} times{torn}"
        remedy = "the machine is too busy, or audio.output.block_ms too small"
        return warn("loudspeaker", seen, remedy, **figures)
    return ok("loudspeaker", f"took {seconds:.1f} s at {heard.out_rate} Hz without a gap", **figures)


def find_sweep(recorded: Samples, rate: int) -> Echo | None:
    """The sweep of a course in its recording; ``delay`` is the round trip."""
    begin = round(LEAD_S * rate)
    return find_echo(
        sweep(rate, SWEEP_DBFS), recorded[begin : begin + round((SWEEP_S + REST_S) * rate)], rate
    )


def judged_latency(round_trip_ms: float, told_s: Sequence[float], set_ms: float | None) -> Finding:
    """How late the microphone hears what was handed to the loudspeaker."""
    told_ms = 1000 * sum(told_s)
    beyond_ms = round_trip_ms - told_ms
    figures = {
        "round_trip_ms": round(round_trip_ms, 1),
        "told_ms": round(told_ms, 1),
        "beyond_ms": round(beyond_ms, 1),
    }
    seen = f"{round_trip_ms:.0f} ms from loudspeaker to microphone, of which {told_ms:.0f} are known"
    if round_trip_ms > LATE_MS:
        return warn("latency", seen, "answers begin late: wired devices instead of Bluetooth", **figures)
    if beyond_ms > HIDDEN_MS and set_ms is None:
        wanted = 1000 * told_s[0] + beyond_ms
        remedy = f"set audio.output.latency_ms = {wanted:.0f}: it decides what counts as heard"
        return warn("latency", seen, remedy, **figures)
    return ok("latency", seen, **figures)


def judged_echo(echo: Echo, clipped_share: float) -> Finding:
    """How loud the microphone hears the loudspeaker."""
    figures = {
        "heard": True,
        "loss_db": round(echo.loss_db, 1),
        "clear_db": round(echo.clear_db, 1),
        "clipped_percent": round(100 * clipped_share, 3),
    }
    seen = f"the microphone hears the loudspeaker {echo.loss_db:.0f} dB weaker than it was played"
    if clipped_share > 0:
        return warn("echo", f"{seen}, and is driven into clipping", TOO_LOUD, **figures)
    if echo.loss_db < LOUD_LOSS_DB:
        seen = f"the microphone hears the loudspeaker {-echo.loss_db:.0f} dB louder than it was played"
        return warn("echo", seen, TOO_LOUD, **figures)
    return ok("echo", seen, **figures)


def _cancelling(course: Course, recorded: Samples, echo: Echo, rate: int) -> tuple[float, float]:
    """Echo return loss enhancement on the murmur, and how far its echo stood above the noise, in dB."""
    begin, length = round(course.murmur_at_s * rate), round(MURMUR_S * rate)
    ahead = min(round(AHEAD_S * rate), echo.delay)
    echoed = recorded[begin + echo.delay - ahead :][:length]
    near, cleaned = canceller.cancelled(echoed, course.sound(rate)[begin : begin + length], rate)
    late = round(LEARNED_S * rate)
    above_db = power_db(_mean_square(echoed)) - power_db(_mean_square(recorded[: round(LEAD_S * rate)]))
    return enhancement_db(near[late:], cleaned[late:]), above_db


def _mean_square(samples: Samples) -> float:
    return float(((samples / 32768) ** 2).mean())


def judged_cancelling(erle_db: float, above_noise_db: float) -> Finding:
    """How well the echo can be taken away."""
    figures = {"erle_db": round(erle_db, 1), "echo_above_noise_db": round(above_noise_db, 1)}
    seen = f"echo cancelled by {erle_db:.0f} dB (ERLE), {above_noise_db:.0f} dB above the room's noise"
    if erle_db < GOOD_ERLE_DB and above_noise_db > FAINT_ECHO_DB:
        remedy = (
            "turn the loudspeaker down (distortion cannot be cancelled); until then nobody can interrupt it"
        )
        return warn("canceller", seen, remedy, **figures)
    return ok("canceller", seen, **figures)
