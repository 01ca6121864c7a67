"""The status page in a browser, before the real daemon in a conversation and in trouble.

`make test-page` plays it, not `make test`: it needs Debian's Chromium. With PICTURES=docs it renews the
pictures there.
"""

import asyncio
import json
import re
import urllib.request

import numpy as np
import pytest

from tests.chaos.proxy import Proxy
from tests.page.browser import Tab
from tests.page.stage import (
    DESK,
    DOING,
    LIVE,
    MARKS,
    PHONE,
    assert_well_behaved,
    fits,
    listening,
    picture,
    port_of,
    rows,
    scene,
    speech,
    talking,
    until_text,
)
from tests.system.harness import until_streaming
from voice_agent.embedded import Fault, Script, ScriptedCall, ServerOptions, Turn, running

pytestmark = MARKS

DELAYS_MS = (620, 700, 1500, 540, 810, 660, 1050, 590)
"""How long the server thinks, turn by turn."""

STALLS = tuple(
    Fault(after="input_audio_buffer.speech_stopped", do="stall", nth=nth, ms=ms)
    for nth, ms in enumerate(DELAYS_MS, 1)
)
ANSWERS = (
    Turn(heard="hello", say="Good day.", ms=1600),
    Turn(heard="tell me a story", say="Once upon a time.", ms=9000),
    Turn(heard="stop", say="Yes?", ms=2600),
    Turn(heard="wake me", calls=(ScriptedCall("set_timer", {"minutes": 10}),)),
    Turn(say="I shall.", ms=1500),
    Turn(heard="how late is it", say="Late.", ms=1400),
)


@scene
async def test_a_conversation_is_shown_as_it_goes(tab: Tab) -> None:
    async with listening(tab.directory / "daemon", *ANSWERS, faults=STALLS) as (_, network, voice):
        port = port_of(voice)
        await tab.look(*DESK, scheme="light")
        await tab.open(f"http://127.0.0.1:{port}/")
        await until_text(tab, DOING, "Waiting for somebody to speak")
        assert await tab.value(LIVE) == "live"
        await until_text(tab, "document.title", "● Waiting for somebody to speak")
        await until_text(tab, "document.getElementById('counts').textContent", "No answers yet")

        voice.card.speak(speech(2500, 1))
        await until_text(tab, DOING, "Listening")
        await until_text(tab, DOING, "Speaking")
        await until_text(tab, DOING, "Waiting")
        voice.card.speak(speech(800, 2))
        await until_text(tab, DOING, "Speaking")
        voice.card.speak(speech(1200, 3))  # over the story
        await until_text(tab, DOING, "Thinking")
        await until_answered(tab, 3)
        network.reset()
        await until_text(tab, "document.getElementById('faults').innerText", "session")
        for answered in range(3, 7):
            await until_answered(tab, answered)
            voice.card.speak(speech(400 + 200 * answered, answered))
        await until_answered(tab, 7)

        await bars_are_true(tab, port)
        assert "✕" in "".join(await rows(tab, "#turns li:nth-last-child(2)")), "the story"
        assert await tab.value("document.querySelectorAll('#turns .cut:not([hidden])').length") == 1
        await levels_are_shown(tab)
        await until_text(tab, "document.querySelector('#loudspeaker b').textContent", "silent")

        await picture(tab, "status-page.png", DESK, "light")
        await picture(tab, "status-page-phone.png", PHONE, "dark")
        assert_well_behaved(tab, port)


async def until_answered(tab: Tab, times: int) -> None:
    """So many answers have sounded, to their ends."""
    await tab.until(f"document.querySelectorAll('#turns li').length >= {times}", 20)
    await until_text(tab, DOING, "Waiting")


async def bars_are_true(tab: Tab, port: int) -> None:
    """Each stretch of each bar is as long as the report says, by the scale above them."""
    with await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/status") as answer:
        turns = json.load(answer)["conversation"]["turns"]
    most = float(
        re.sub(r"[^\d.]", "", await tab.value("document.querySelector('[data-f=most]').textContent"))
    )
    measure = (
        "JSON.stringify([...document.querySelectorAll('#turns .bar')].map(bar => ['.m', '.c', '.d'].map("
        "part => bar.querySelector(part).getBoundingClientRect().width / bar.clientWidth)))"
    )
    parts = ("model_s", "client_s", "device_s")
    wanted = [[turn[part] / most for part in parts] for turn in turns]
    async with asyncio.timeout(5):  # they glide to their places
        while not np.allclose(json.loads(await tab.value(measure)), wanted, atol=0.003):
            await asyncio.sleep(0.05)
    assert max(sum(bar) for bar in wanted) > 0.5, "the scale fits"
    totals = [float(text.split()[0]) for text in await rows(tab, "#turns b")]
    assert totals == pytest.approx([sum(turn[part] for part in parts) for turn in turns], abs=0.006)
    (median,) = re.findall(
        r"median ([\d.]+) s", await tab.value("document.getElementById('counts').innerText")
    )
    assert float(median) == pytest.approx(float(np.median(totals)), abs=0.011)


async def levels_are_shown(tab: Tab) -> None:
    """The strip has a line for each second, high ones where somebody spoke, on either side."""
    for name, way in (("heard", -1), ("said", 1)):
        drawn = await tab.value(f"document.getElementById('{name}').getAttribute('d')")
        heights = [way * float(each) for each in re.findall(r"v(-?[\d.]+)", drawn)]
        assert 5 < len(heights) <= 60
        assert max(heights) > 20, "somebody spoke"
        assert min(heights) < 12, "somebody was silent"
    assert re.fullmatch(r"\N{MINUS SIGN}\d+ dB|silent", (await rows(tab, "#microphone b"))[0])


@scene
async def test_a_lost_connection_and_its_return_are_seen(tab: Tab) -> None:
    async with listening(tab.directory / "daemon") as (_, network, voice):
        port = port_of(voice)
        await tab.look(*PHONE, scheme="dark")
        await tab.open(f"http://127.0.0.1:{port}/")
        await until_text(tab, DOING, "Waiting for somebody to speak")
        assert await fits(tab)
        network.refuse()
        await until_text(tab, DOING, "No connection")
        assert "Not ready" in (await rows(tab, "#facts"))[0]
        (problem,) = await rows(tab, "#problems li")
        assert "cannot connect" in problem
        assert "It tries again by itself" in problem
        assert await tab.value("document.querySelector('#well').getBoundingClientRect().width") == 0
        assert await tab.value(LIVE) == "live", "the page itself has lost nothing"
        assert await fits(tab)
        await network.accept()
        await until_text(tab, DOING, "Waiting for somebody to speak")
        assert await tab.value("document.getElementById('problems').hidden")
        assert "connection_refused" in "".join(await rows(tab, "#faults"))
        assert "connection_refused" in "".join(await rows(tab, "#lost"))
        assert_well_behaved(tab, port)


@scene
async def test_a_silent_line_and_a_restart_are_told_and_got_over(tab: Tab) -> None:
    async with running(ServerOptions(script=Script(shared=True))) as server:
        with talking(tab.directory / "first", server.url) as voice:
            await until_streaming(server)
            way = Proxy(port_of(voice))
            await way.accept()
            await tab.open(f"http://127.0.0.1:{way.port}/")
            await until_text(tab, DOING, "Waiting for somebody to speak")
            await tab.value("window.never_left = true")
            way.stall()
            await until_text(tab, LIVE, "stale for")
            assert await tab.value("document.getElementById('main').classList.contains('old')")
            await way.heal()
            await tab.until(f"{LIVE} === 'live'", 20)
            assert not await tab.value("document.getElementById('main').classList.contains('old')")
        way.refuse()
        await until_text(tab, LIVE, "reconnecting, last seen")
        with talking(tab.directory / "second", server.url) as voice:
            await until_streaming(server, connection=2)
            way._far_port = port_of(voice)
            await way.accept()
            await tab.until(f"{LIVE} === 'live'", 20)
            assert await tab.value("window.never_left"), "nobody had to load it anew"
            way.refuse()


@scene
async def test_when_all_places_for_events_are_taken_it_asks(tab: Tab) -> None:
    async with listening(tab.directory / "daemon") as (_, _network, voice):
        port, others = port_of(voice), []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" in await reader.readline()
            others.append(writer)
        await tab.open(f"http://127.0.0.1:{port}/")
        await until_text(tab, LIVE, "live, by asking")
        await until_text(tab, DOING, "Waiting for somebody to speak")
        for writer in others:
            writer.transport.abort()
        await tab.until(f"{LIVE} === 'live'", 20)
