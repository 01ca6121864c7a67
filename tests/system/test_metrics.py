"""The real process measures itself: what it says of a conversation agrees with what left the loudspeaker."""

import asyncio
import re
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.system.harness import RATE, Daemon, conversation, loud, scene, until_streaming
from voice_agent.embedded import Turn

pytestmark = [pytest.mark.system, pytest.mark.audio]

STORY = Turn(heard="a story", say="Once upon a time", ms=20_000, wave="counter")
FIRST = "first_audio_seconds"
STAGE = "turn_latency_seconds"
SERIES = 440
"""Of a daemon in conversation: what docs/scale.md reckons with."""


def samples(page: str) -> dict[str, float]:
    """Values by name and labels."""
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name.removeprefix("voice_agent_"): float(value) for name, _, value in lines}


async def scrape(voice: Daemon) -> dict[str, float]:
    (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
    with await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics") as page:
        return samples(page.read().decode())


@scene
async def test_an_interrupted_answer_is_measured_from_the_word_to_the_silence(tmp_path: Path) -> None:
    path = tmp_path / "voice-agent.prom"
    settings = f'[metrics]\ntextfile = "{path}"\n'
    async with conversation(tmp_path, STORY, Turn(heard="stop", say="", ms=0), settings=settings) as (
        server,
        voice,
    ):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: int(np.count_nonzero(voice.card.played()[-RATE:])) > RATE // 2)
        voice.card.speak(loud(600))
        await voice.until_logged("interrupted")
        await voice.until_logged("metrics are served")
        await asyncio.sleep(0.1)
        now = await scrape(voice)
        assert now["ready"] == 1
        assert 300 < len(now) <= SERIES
        assert now[f"{FIRST}_count"] == 1
        stages = {
            stage: now[f'{STAGE}_sum{{stage="{stage}"}}'] for stage in ("model", "hold", "own", "device")
        }
        assert sum(stages.values()) == pytest.approx(now[f"{FIRST}_sum"])
        assert 0 <= stages["own"] < 0.1, "half a block, and what the loop needs"
        assert stages["device"] == pytest.approx(now["playout_latency_seconds"], abs=0.011)
        assert now['playout_silencing_seconds_count{order="flush"}'] == 1
        assert 0.003 < now['playout_silencing_seconds_sum{order="flush"}'] < 0.06, (
            "a block and a fade: 5 to 15 ms"
        )
        assert now["capture_delay_seconds_count"] > 50
        assert now['capture_delay_seconds_bucket{le="0.02"}'] > 0.8 * now["capture_delay_seconds_count"]
        assert now["endpointing_seconds_count"] >= 1
        assert now["event_loop_lag_seconds_count"] >= 1
        assert now["playout_received_seconds_total"] >= 0
        written = samples(path.read_text())
        assert "process_resident_memory_bytes" in written, (
            "under a name of our own: the prefix is cut off here"
        )
        assert path.stat().st_mode & 0o777 == 0o644
        code, _ = voice.stop()
        assert (code, path.exists()) == (0, False)
