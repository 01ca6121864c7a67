"""One short scene of the bench on real streams."""

from pathlib import Path

from tests.audio.harness import in_own_process
from tests.echo.live import perform
from tests.echo.scenes import Scene

SHORT = Scene("short", seconds=16, echo_to_speech_db=-6, rt60_s=0.3, first_s=6.0, seed=5)
SOON_MS = 600
"""Twice the goal: what is tried here is that it works, and not how fast this machine is."""


@in_own_process
async def test_on_real_streams_the_user_is_heard_over_the_loudspeaker_and_it_is_not(tmp_path: Path) -> None:
    outcome = (await perform(SHORT, tmp_path)).outcome
    assert outcome.playout_s > 8
    assert outcome.self_interruptions == 0
    assert outcome.tried >= 1
    assert outcome.honoured == outcome.tried
    assert outcome.silence_ms[0] < SOON_MS
    assert min(outcome.erle_db[-3:]) > 10
