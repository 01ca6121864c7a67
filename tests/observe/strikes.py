"""A real daemon is struck, and somebody is told: by Prometheus and Alertmanager, in shortened time.

``make test-rules`` plays these.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.observe.programs import Missing, program
from tests.observe.stack import Stack, observing, sending
from tests.system.harness import Daemon, conversation, until_streaming
from voice_agent.embedded import Fault, Server

TIMES = 60
"""An hour is a minute, five minutes are five seconds."""
OF_THE_MACHINE = {"VoiceAgentLoopLags", "VoiceAgentXruns"}
"""What may be true of a machine that runs tests."""
SENT = 'voice_agent:reports:bool{fleet="homes", site="oslo-1", instance="kitchen", job="voice-agent"}'
UNREACHABLE = Fault(after="upgrade", do="drop", times=None)


def _can() -> bool:
    try:
        return bool(program("prometheus") and program("alertmanager"))
    except Missing:
        return False


pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(not _can(), reason="no Prometheus here: scripts/system-packages observe"),
]


@asynccontextmanager
async def watched(
    directory: Path, *, settings: str = "", faults: tuple[Fault, ...] = ()
) -> AsyncIterator[tuple[Server, Daemon, Stack]]:
    quick = f"{settings}\n[reconnect]\nfirst_s = 0.5\ncap_s = 1\n"
    async with conversation(directory, faults=faults, settings=quick) as (server, voice):
        await voice.until_logged("metrics are served")
        (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
        async with observing(directory / "observed", f"127.0.0.1:{port}", times=TIMES) as stack:
            yield server, voice, stack


async def until_seen(stack: Stack, query: str, timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await stack.ask(query):
            await asyncio.sleep(0.2)


Scene = Callable[[Path], Coroutine[None, None, None]]


def scene(play: Scene) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        asyncio.run(play(tmp_path))

    return test


@scene
async def test_an_outage_of_one_device_is_told_in_tickets_and_its_end_as_well(tmp_path: Path) -> None:
    async with watched(tmp_path) as (server, _voice, stack):
        await until_streaming(server)
        await until_seen(stack, "voice_agent:can_converse:bool == 1")
        await until_seen(stack, "count_over_time(voice_agent:can_converse:bool[1m]) > 20", 60)
        assert await stack.firing() <= OF_THE_MACHINE
        server.strike(UNREACHABLE, Fault(after="now", do="drop"))
        ticket = await stack.hook.until("VoiceAgentNoSession", 60)
        assert ticket.receiver == "tickets"
        assert ticket.labels["instance"] == "this"
        assert ticket.annotations["summary"] == "this has had no session for 10 minutes"
        promise = await stack.hook.until("VoiceAgentAvailabilityBurnsSlowly", 60)
        assert promise.receiver == "tickets"
        assert "fleet trial" in promise.annotations["description"]
        assert not [each for each in stack.hook.told if each.receiver == "pager"]
        server.calm()
        await stack.hook.until("VoiceAgentNoSession", 60, firing=False)


@scene
async def test_a_key_that_is_refused_is_told_as_what_only_people_can_cure(tmp_path: Path) -> None:
    wrong_key = Fault(after="upgrade", do="refuse", code=401, times=None)
    async with watched(tmp_path, faults=(wrong_key,)) as (_server, voice, stack):
        told = await stack.hook.until("VoiceAgentSessionRefused", 60)
        assert "only people can cure it" in told.annotations["summary"]
        assert not [each for each in stack.hook.told if each.alert == "VoiceAgentNoSession"]
        voice.process.kill()
        await stack.hook.until("VoiceAgentDown", 60)
        page = await stack.hook.until("VoiceAgentNothingSeen", 60)
        assert page.receiver == "pager"


@scene
async def test_a_device_that_sends_its_figures_itself_is_missed_when_it_stops(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_server, voice, stack):
        (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
        with sending(tmp_path / "agent", f"127.0.0.1:{port}", stack, times=TIMES):
            await until_seen(stack, SENT)
        told = await stack.hook.until("VoiceAgentGone", 90)
        assert (told.labels["instance"], told.labels["site"]) == ("kitchen", "oslo-1")


@scene
async def test_while_a_fleet_fails_its_devices_are_not_told_of_and_others_are(tmp_path: Path) -> None:
    async with observing(tmp_path, "127.0.0.1:9", times=TIMES) as stack:
        fleet = {"alertname": "VoiceAgentFleetCannotConverse", "fleet": "homes", "severity": "critical"}
        await stack.post([{"labels": fleet}])
        await stack.hook.until("VoiceAgentFleetCannotConverse", 30)
        devices = [
            {
                "alertname": "VoiceAgentNoSession",
                "fleet": fleet,
                "site": "oslo",
                "instance": f"{fleet}-{each}",
            }
            for fleet, each in (("homes", 1), ("homes", 2), ("hotels", 1))
        ]
        await stack.post([{"labels": {**each, "severity": "warning"}} for each in devices])
        told = await stack.hook.until("VoiceAgentNoSession", 30)
        assert told.labels["instance"] == "hotels-1"
        names = [each.labels.get("instance") for each in stack.hook.told]
        assert not {"homes-1", "homes-2"} & {*names}


def test_what_was_begun_to_observe_ends_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.observe", "--no-boards", "--target", "127.0.0.1:9"]
    surroundings = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=surroundings) as observing:
        assert observing.stdout
        found = (re.findall(r"http://127.0.0.1:(\d+)/graph", line) for line in observing.stdout)
        (port,) = next(filter(None, found))
        observing.send_signal(signal.SIGTERM)
        assert observing.wait(30) == 0
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=1)
