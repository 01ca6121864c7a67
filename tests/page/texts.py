"""The status page in a browser, before reports that fit the schema and are otherwise as bad as can be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import msgspec

from tests.page.browser import Tab
from tests.page.stage import DESK, DOING, LIVE, MARKS, PHONE, TABLET, fits, rows, scene, until_text
from voice_agent.credentials import Secret
from voice_agent.telemetry.access import OPEN, Door, Lock
from voice_agent.telemetry.exchange import Answer
from voice_agent.telemetry.http import HttpServer
from voice_agent.telemetry.page import status_page
from voice_agent.telemetry.report import Report
from voice_agent.telemetry.site import Site

pytestmark = MARKS

EVIL = "<img src=x onerror=\"document.body.textContent='taken'\"><script>document.title='taken'</script>"
END = {"device": EVIL, "condition": "failed", "reason": EVIL, "rate_hz": 44_100, "channels": 2}
END |= {"resampled": True, "callback_age_s": 0.01, "xruns": 12_345, "restarts": 678, "level_db": None}
WORST = {
    "version": EVIL,
    "uptime_s": 1e9,
    "ready": False,
    "healthy": False,
    "state": "refused",
    "summary": EVIL,
    "problems": [{"part": EVIL, "reason": EVIL * 3, "advice": f"Say `{EVIL}`", "restart_helps": True}] * 4,
    "session": {"provider": EVIL, "connection": EVIL, "age_s": 1e6, "limit_s": 10.0, "rtt_s": 1234.5}
    | {"silence_s": 1e5, "sessions": 10**6, "last_disconnect": "x" * 200, "last_disconnect_ago_s": 1e7}
    | {"retry_s": 0.0},
    "microphone": END,
    "loudspeaker": END,
    "controls": {"muted": True, "volume": 130, "gate": "push-to-talk", "talking": True}
    | {"echo": "half-duplex", "erle_db": -3.2},
    "conversation": {"doing": None, "turns_begun": 1, "answers": 10**5, "interruptions": 10**4}
    | {"answers_failed": 10**4}
    | {
        "turns": [
            {"ago_s": 1e6, "model_s": 3500.0, "client_s": 0.0, "device_s": 2.0, "interrupted": True},
            {"ago_s": 0.0, "model_s": 0.0, "client_s": 0.0, "device_s": 0.0, "interrupted": True},
        ]
    },
    "allowance": {"audio_s": 1e6, "audio_limit_s": 60.0, "tokens": 10**12, "tokens_limit": 10**9},
    "timers": {"timer": 1000, "alarm": 1000},
    "tool_servers": [{"name": "n" * 100, "connected": False, "tools": 0}],
    "faults": [
        {"kind": "k" * 60, "count": 10**6, "last_ago_s": 1e8},
        {"kind": EVIL, "count": 1, "last_ago_s": 0},
    ],
    "components": [{"name": "c" * 60, "up": False, "reason": EVIL, "troubles": 10**5}],
}
"""A report that fits the schema and nothing else."""


@asynccontextmanager
async def serving(body: bytes, door: Door = OPEN) -> AsyncIterator[int]:
    """The page and a report that stands still; there are no events."""
    pages = {"/": status_page, "/status": lambda: Answer(HTTPStatus.OK, body)}
    server = HttpServer("127.0.0.1", 0, Site(lambda _: ("text/plain", b""), pages), door)
    task = asyncio.create_task(server.run())
    while server.address is None:
        await asyncio.sleep(0)
    try:
        yield server.address[1]
    finally:
        task.cancel()
        await asyncio.wait([task])


def complaints(tab: Tab) -> list[str]:
    """But for events that are not there."""
    return [each for each in tab.errors if "/events" not in each]


@scene
async def test_whatever_things_are_called_the_page_shows_text_and_fits(tab: Tab) -> None:
    body = msgspec.json.encode(msgspec.convert(WORST, Report))
    async with serving(body) as port:
        for size, language in ((PHONE, "en-GB"), (PHONE, "ru-RU"), (TABLET, "ru-RU"), (DESK, "en-GB")):
            await tab.look(*size, scheme="light", language=language)
            await tab.open(f"http://127.0.0.1:{port}/")
            await until_text(tab, "document.body.innerText", "Refused" if language == "en-GB" else "отказал")
            assert await tab.value("document.querySelectorAll('img, script').length") == 1, "its own"
            assert EVIL in (await rows(tab, "#facts"))[0]
            assert (await rows(tab, "#problems code"))[0] == EVIL
            assert "taken" not in await tab.value("document.title")
            assert await tab.value("document.documentElement.lang") == language[:2]
            assert await fits(tab), (size, language)
        assert complaints(tab) == []


@scene
async def test_with_a_password_in_the_address_it_goes_on_asking(tab: Tab) -> None:
    body = msgspec.json.encode(msgspec.convert(WORST, Report))
    async with serving(body, Door(Lock("me", Secret("hunter2")))) as port:
        await tab.open(f"http://me:hunter2@127.0.0.1:{port}/")
        await until_text(tab, DOING, "Refused by the provider")
        await until_text(tab, LIVE, "live, by asking")
        assert complaints(tab) == []
