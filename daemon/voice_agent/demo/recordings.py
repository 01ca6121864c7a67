"""The conversation as sound files."""

import wave
from pathlib import Path

from voice_agent.demo.stage import Recording
from voice_agent.formats import BYTES_PER_SAMPLE


def write_recordings(directory: Path, recording: Recording) -> None:
    """``conversation.wav``: the loudspeaker, mono. ``room.wav``: the user left, the agent right."""
    import numpy as np

    agent, user = recording.agent, recording.user
    _write(directory / "conversation.wav", agent.astype("<i2").tobytes(), recording.rate, channels=1)
    room = np.zeros((max(len(agent), len(user)), 2), "<i2")
    room[: len(user), 0] = user
    room[: len(agent), 1] = agent
    _write(directory / "room.wav", room.tobytes(), recording.rate, channels=2)


def _write(path: Path, pcm: bytes, rate: int, *, channels: int) -> None:
    with path.open("wb") as file, wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(BYTES_PER_SAMPLE)
        sound.setframerate(rate)
        sound.writeframes(pcm)
