"""What may never be found outside of a conversation: secrets, and words that somebody said.

Every round plants some of them. At the end of a world the rest is planted where it could slip out most
easily, in complaints of the server and failures of tools, and everything that others may read is searched.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.chaos.mind import Plan
from tests.chaos.process import KEY, METRICS_PASSWORD, TOOL_KEY
from tests.chaos.world import QUERY, SAMPLES_PER_MS, Ended, World
from voice_agent.embedded import Fault

SECRETS = {
    "the key": KEY,
    "a tool's key": TOOL_KEY,
    "the metrics' password": METRICS_PASSWORD,
    "a query": QUERY,
}
WORD = "zanzibar"
"""Said to tools, and quoted by whoever complains."""
WORDS = re.compile(rf"utterance \d|\banswer \d|Moscow|{WORD}", re.IGNORECASE)
TIMERS = "timers.json"
"""People's names for timers are kept there on purpose."""
PATIENCE_S = 20.0
CALLS = (
    ("set_timer", f'{{"name": "{WORD} tea", "minutes": 59}}'),
    ("get_weather", f'{{"city": "{WORD} town", "{WORD}": 1}}'),
    ("get_weather", f'{{"city": "{WORD} town'),
    ("look_up", f'{{"word": "{WORD}"}}'),
    ("play_music", f'{{"title": "{WORD}"}}'),
)
QUOTED = f"Invalid value: '{WORD} says utterance 1.' for the key {KEY}"
COMPLAINTS = (
    Fault(after="now", do="error", error="invalid_value", text=QUOTED),
    Fault(
        after="now", do="send", text=f'{{"type":"response.output_audio_transcript.delta","delta":["{WORD}"]}}'
    ),
    Fault(after="now", do="send", text=f'{{"type":"moon.phase","phase":"{WORD}"}}'),
    Fault(after="now", do="send", text=f'{WORD} {{"type":'),
    Fault(after="now", do="close", code=1011, text=f"cannot say '{WORD} tea'"),
)


async def search(world: World, *, transcripts: bool) -> list[str]:
    """What slipped out. With ``transcripts`` words belong into the log: it is wrong if none are there."""
    try:
        await _confess(world)
    except (TimeoutError, Ended) as error:
        return [f"what should not slip out could not be planted: {error!r}"]
    places = {**await asyncio.to_thread(world.daemon.public), **_kept(world.directory / "voice-agent")}
    log = world.daemon.log()
    found = [
        *_slips({"log": log, **places}, SECRETS),
        *_words(places if transcripts else {"log": log, **places}),
    ]
    if transcripts and not WORDS.search(log):
        found.append("no words in a log that should have them: the search finds nothing")
    return found


async def _confess(world: World) -> None:
    """Tools fail over private arguments, then the server complains with private quotations."""
    world.forget()
    await world.until(world.streaming, PATIENCE_S)
    number = world.say(300, Plan(calls=CALLS))
    await world.until(lambda: world.loudspeaker.sounded(number) > 60 * SAMPLES_PER_MS, PATIENCE_S)
    before = world.latest
    world.server.strike(*COMPLAINTS)
    await world.usable(before, PATIENCE_S)


def _kept(directory: Path) -> Mapping[str, str]:
    files = [each for each in directory.rglob("*") if each.is_file()]
    return {f"file {each.name}": each.read_text(errors="replace") for each in files}


def _slips(places: Mapping[str, str], secrets: Mapping[str, str]) -> Iterator[str]:
    for place, text in places.items():
        yield from (f"{what} in {place}" for what, secret in secrets.items() if secret in text)


def _words(places: Mapping[str, str]) -> Iterator[str]:
    for place, text in places.items():
        if place != f"file {TIMERS}" and (found := WORDS.search(text)):
            line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            yield f"words in {place}: {line[:200]}"
