"""What the room hears of the daemon itself: the real process, its sounds in the card's recording."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.system.harness import RATE, conversation, loud, scene, until_streaming
from voice_agent.audio.cues import TONES, tones
from voice_agent.embedded import Fault, Turn
from voice_agent.occasions import TICK_AFTER_S, TICK_EVERY_S

pytestmark = [pytest.mark.system, pytest.mark.audio]

TICK = np.frombuffer(tones(TONES["thinking"], RATE), "<i2")


def found(sound: NDArray[np.int16], played: NDArray[np.int16]) -> list[int]:
    """Where ``sound`` begins in the recording, sample by sample."""
    loudest = int(np.argmax(np.abs(sound)))
    begins = np.flatnonzero(played == sound[loudest]) - loudest
    return [int(at) for at in begins if at >= 0 and np.array_equal(played[at : at + len(sound)], sound)]


def counter(samples: int) -> NDArray[np.int16]:
    """What a scripted server says."""
    return (1 + np.arange(samples) % 32767).astype(np.int16)


@scene
async def test_whoever_waits_for_an_answer_hears_ticks_until_it_comes(tmp_path: Path) -> None:
    slow = Fault(after="response.created", do="stall", ms=5500)
    answer = Turn(heard="hello", say="Good day.", ms=1000, wave="counter")
    async with conversation(tmp_path, answer, faults=(slow,)) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until_logged("agent said", timeout_s=20)
        played = voice.card.played()
    (start,) = found(counter(RATE), played)  # whole: nothing sounds into the answer
    ticks = found(TICK, played)
    assert len(ticks) == 2
    assert all(tick < start for tick in ticks)
    one_s, other_s, answer_s = (voice.card.played_at(position) for position in (*ticks, start))
    assert other_s - one_s == pytest.approx(TICK_EVERY_S, abs=0.4)
    assert answer_s - one_s == pytest.approx(5.5 - TICK_AFTER_S, abs=0.6)
    assert np.count_nonzero(played[:start]) == 2 * np.count_nonzero(TICK), "and nothing else did"


@scene
async def test_an_operators_sound_is_heard_and_gives_way_and_a_bad_one_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "cues"
    folder.mkdir()
    with wave.open(str(folder / "ready.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((9001).to_bytes(2, "little") * 2 * 9 * RATE)
    (folder / "thinking.wav").write_bytes(b"an MP3")
    settings = f'[cues]\nfolder = "{folder}"\n'
    answer = Turn(heard="hello", say="Good day.", ms=300, wave="counter")
    async with conversation(tmp_path, answer, settings=settings) as (server, voice):
        await until_streaming(server)
        await voice.until(lambda: 9001 in voice.card.played())
        voice.card.speak(loud(600))
        await voice.until_logged("agent said")
        played = voice.card.played()
        assert "interrupted" not in voice.log, "nobody is interrupted who speaks into a chime"
        await voice.until_logged("WARNING.*a cue cannot be played.*thinking.wav.*ffmpeg")
    (start,) = found(counter(RATE * 300 // 1000), played)
    chime = np.flatnonzero(played == 9001)
    assert chime[-1] < start
    assert len(chime) < 9 * RATE
