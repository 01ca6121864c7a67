"""One scene on real streams: PortAudio, the virtual card, and the daemon's own ends and guard.

``python -m tests.echo.live`` reads a scene from its input as JSON and writes the outcome to its output. In a
process of its own, as ALSA reads its configuration once.

A crude server believes whoever is confirmed while somebody speaks: after 200 ms it has the playout flushed,
and answers when he has finished.
"""

import asyncio
import json
import sys
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.audio.harness import plugged_in, wait_until
from tests.echo.acoustics import level, response
from tests.echo.scenes import CLIP_DB, FAR_DB, FARS, NEARS, Outcome, Scene, scene_from
from tests.echo.voices import ANSWERS, INTERRUPTIONS, RATE, Sound, spoken, talk
from voice_agent.audio.devices import AudioDevices, Condition
from voice_agent.audio.echo.guard import Guard, Mode
from voice_agent.audio.gate import VoiceGate
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.speaker import Speaker
from voice_agent.audio.valve import Heard, Verdict
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.mouth import Spoken

FRAME = RATE // 50
SERVER_FRAMES = 10
ANSWER_FRAMES = 40
PIECE_S = 20.0
"""Answers go to the speaker in pieces: its ring holds two minutes."""
LULL = RATE * 6 // 10
"""So much of nothing is silence, and no pause between two sentences."""
LATE = RATE * 3 // 10
"""So long after a voice it may still be confirmed: rooms, and what a canceller adds."""
SETTLED_S = 6
EARLY = RATE // 50


class Live:
    """A performance of one scene."""

    def __init__(self, scene: Scene, card: VirtualCard, mode: Mode) -> None:
        self.scene = scene
        self.card = card
        self.speaker = Speaker(RATE)
        self.microphone = Microphone(RATE)
        self.guard = Guard(mode, self.speaker, self.microphone)
        self.outcome = Outcome(scene.name)
        self.levels: list[tuple[float, float]] = []
        self._draw = np.random.default_rng(scene.seed)
        self._speaking: Future[Spoken] | None = None
        self._spoken: list[Future[Spoken]] = []
        self._confirmed = False
        self._onsets: list[int] = []  # of what was confirmed, as the microphone counts
        self._flush_at = self._answer_at = -1
        self._next_at = round(scene.first_s * RATE / FRAME)
        self._part = 0

    async def run(self) -> None:
        """Until the scene is over."""
        frames = round(self.scene.seconds * RATE / FRAME)
        self._answer_at = 0
        for index in range(frames):
            self._act(index)
            position = self.microphone.position
            pcm = await self.microphone.frame()
            heard = self.guard.hear(position, pcm)
            self._look(index, heard)
            if index % 50 == 49:
                self._measure(index)
            if self.scene.seconds <= 70:
                self.levels.append((rms(pcm), rms(heard.pcm)))

    def _act(self, index: int) -> None:
        scene = self.scene
        if scene.change_s is not None and index == round(scene.change_s * 50):
            self.card.respond(response(scene.rt60_s, min(scene.rt60_s / 2, 0.3), scene.seed + 1))
        if index == self._flush_at:
            self.speaker.silence()
        queued, played = self.speaker.positions()
        if index >= self._answer_at and queued - played < RATE and self._speaking is None:
            self._answer()
        if self._speaking and self._speaking.done():
            self._answer_at = index + ANSWER_FRAMES
            self._next_at = index + ANSWER_FRAMES + round(self._draw.uniform(2.5, 4.5) * 50)
            self._speaking = None
        elif (
            scene.echo_to_speech_db is not None
            and index == self._next_at
            and index < (scene.seconds - 4) * 50
        ):
            said = self.card.speak(pcm16(scene.interruption(self._draw)))
            self._spoken.append(said)
            self._speaking = said

    def _answer(self) -> None:
        self._part += 1
        sound = talk(FARS, PIECE_S, self.scene.seed * 1000 + self._part) * level(FAR_DB)
        self.speaker.play(pcm16(sound), starts=True)

    def _look(self, index: int, heard: Heard) -> None:
        """What the server makes of it."""
        confirmed = heard.verdict is Verdict.CONFIRMED
        if confirmed and not self._confirmed:
            self._onsets.append(heard.onset or 0)
            if self._speaking and index > self.scene.deaf_s * 50:
                self._flush_at = index + SERVER_FRAMES
        self._confirmed = confirmed

    def _measure(self, index: int) -> None:
        now = self.guard.statistics()
        if now.erle_db is not None and index > SETTLED_S * 50:
            self.outcome.erle_db.append(now.erle_db)

    def conclude(self) -> Outcome:
        """Read the recordings."""
        out, now, played = self.outcome, self.guard.statistics(), self.card.played()
        out.half_duplex_s, out.suspicions = now.half_duplex_s, now.suspicions
        out.playout_s = sounding_s(played)
        zero = next(e.position for e in self.card.events() if (e.direction, e.event) == ("mic", "start"))
        confirmed = {zero + onset for onset in self._onsets}
        for span in [said.result(timeout=10) for said in self._spoken]:
            its_own = {at for at in confirmed if span.begin - EARLY <= at < span.end + LATE}
            confirmed -= its_own
            if (ms := silence_after(played, span.begin)) is None:
                continue  # the loudspeaker was silent anyway
            out.tried += 1
            out.honoured += bool(its_own)
            out.silence_ms += [ms] if its_own and ms else []
        out.self_interruptions = len(confirmed)
        out.held_ms = self.card.events()[-1].held_ms
        if self.scene.echo_to_speech_db is None:
            out.unaided_triggers = triggers(self.card.captured())
        return out


def rehearse() -> None:
    """Synthesise everything once: that takes seconds, for which the event loop must not stand still later."""
    for names, sentences in ((FARS, ANSWERS), (NEARS, INTERRUPTIONS)):
        for name, sentence in product(names, sentences):
            spoken(name, sentence)


def pcm16(sound: Sound) -> bytes:
    return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()


def rms(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return float(10 * np.log10(np.mean(samples**2) + 0.1) - 90.3)


def sounding_s(played: NDArray[np.int16]) -> float:
    """Seconds of frames that were not silent."""
    frames = played[: len(played) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.count_nonzero(frames.any(axis=1)) * FRAME / RATE)


def silence_after(played: NDArray[np.int16], begin: int) -> float | None:
    """Milliseconds from ``begin`` until the loudspeaker is silent; nothing if it was not sounding then."""
    if not played[max(begin - RATE // 2, 0) : begin + EARLY].any():
        return None
    silent = np.concatenate(([0], (played[begin:] == 0).astype(np.int8), [0]))
    lulls = (start for start, end in np.flatnonzero(np.diff(silent)).reshape(-1, 2) if end - start >= LULL)
    start = next(lulls, None)
    return None if start is None else float(start * 1000 / RATE)


def triggers(captured: NDArray[np.int16]) -> int:
    """How often the voice gate would open for the microphone as it is."""
    gate = VoiceGate(RATE)
    data = captured.tobytes()
    starts = range(0, len(data) // 2 - FRAME, FRAME)
    return sum(gate.feed(at, data[2 * at : 2 * (at + FRAME)]) is not None for at in starts)


async def perform(scene: Scene, directory: Path, mode: Mode = Mode.AUTO) -> Live:
    """Hold a scene in a new room."""
    card = VirtualCard(
        directory,
        elastic=True,
        speed=scene.speed,
        echo_db=scene.echo_db - FAR_DB,
        echo_ms=scene.delay_ms,
        noise_db=scene.noise_db,
        mic_ppm=scene.drift_ppm,
        clip_db=CLIP_DB if scene.clips else None,
    )
    rehearse()
    with plugged_in(card):
        card.respond(response(scene.rt60_s, min(scene.rt60_s / 2, 0.3), scene.seed))
        live = Live(scene, card, mode)
        devices = AudioDevices(live.speaker, live.microphone)
        task = asyncio.create_task(devices.run())
        try:
            await wait_until(
                lambda: (
                    {devices.state().output.condition, devices.state().input.condition} == {Condition.OPEN}
                ),
                "streams",
            )
            await live.run()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        live.conclude()
    return live


def main() -> int:
    scene = scene_from(json.load(sys.stdin))
    with tempfile.TemporaryDirectory(prefix="voice-agent-echo-") as directory:
        live = asyncio.run(perform(scene, Path(directory)))
    json.dump({"outcome": asdict(live.outcome), "levels": live.levels}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
