"""``voice-agent doctor`` as people and scripts meet it: the command itself, a virtual card, a server."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.system.harness import KEY, daemon
from voice_agent.embedded import Script, ServerOptions, running
from voice_agent.lab.card import VirtualCard

pytestmark = [pytest.mark.system, pytest.mark.audio]

ROOM = (np.random.default_rng(1).standard_normal(24_000 * 8) * 30).round().astype("<i2").tobytes()
"""A quiet room, for as long as a quick examination listens."""


ALONE = '[metrics]\nenabled = false\n[control]\nsocket = ""\n'
"""Other daemons on this machine are not looked for."""


def configured(folder: Path, url: str, more: str = ALONE) -> Path:
    file = folder / "doctor.toml"
    file.write_text(f'[provider]\nkind = "custom"\nurl = "{url}"\n{more}')
    return file


def doctor(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    environ = os.environ | {"STATE_DIRECTORY": str(folder), "VOICE_AGENT_API_KEY": KEY} | dict(environment)
    return subprocess.Popen(
        [sys.executable, "-m", "voice_agent", "doctor", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def examined(
    folder: Path, *arguments: str, environment: Mapping[str, str], room: VirtualCard | None = None
) -> tuple[int, dict[str, Any]]:
    """Exit code and report, within the promise for a quick examination."""
    process = doctor(folder, *arguments, "--json", environment=environment)
    try:
        if room is not None:
            room.speak(ROOM)
        async with asyncio.timeout(40):
            told, errors = await asyncio.to_thread(process.communicate)
    finally:
        process.kill()
    assert errors == ""
    assert KEY not in told
    return process.returncode, json.loads(told)


def levels(report: Mapping[str, Any]) -> dict[str, str]:
    return {finding["name"]: finding["level"] for finding in report["findings"]}


def test_a_device_in_good_health_ends_with_0_and_soon(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script())) as server:
            with VirtualCard(tmp_path / "room", elastic=True, echo_db=-20.0) as card:
                config = configured(tmp_path, server.url)
                code, report = await examined(
                    tmp_path, "--quick", "--config", str(config), environment=card.environment(), room=card
                )
        healthy = {"config", "credentials", "input", "output", "microphone", "loudspeaker", "latency", "echo"}
        healthy |= {"dns", "tls", "handshake", "round-trip", "disk", "memory"}
        found = levels(report)
        assert {name for name in healthy if found.get(name) != "ok"} == set(), report
        assert (code, report["ok"], report["exit_code"]) == (0, True, 0)
        assert report["seconds"] < 15

    asyncio.run(run())


def test_three_planted_faults_are_each_named_with_a_remedy(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script(), api_key="another")) as server:
            with VirtualCard(tmp_path / "room", elastic=True) as card:  # nothing is to be heard in it
                (tmp_path / "state").write_text("no directory")
                environment = card.environment() | {"STATE_DIRECTORY": str(tmp_path / "state")}
                config = configured(tmp_path, server.url)
                code, report = await examined(
                    tmp_path, "--quick", "--config", str(config), environment=environment
                )
        failed = {each["name"]: each for each in report["findings"] if each["level"] == "fail"}
        assert failed.keys() == {"microphone", "handshake", "disk"}, report
        assert "digital silence" in failed["microphone"]["seen"]
        assert "401" in failed["handshake"]["seen"]
        assert all(each["remedy"] for each in failed.values())
        assert (code, report["ok"]) == (os.EX_UNAVAILABLE, False)

    asyncio.run(run())


def test_a_running_daemon_is_noticed_and_not_played_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script())) as server:
            control = f'[control]\nsocket = "{tmp_path}/control"\n'
            with daemon(tmp_path, server.url, settings=control) as running_daemon:
                await running_daemon.until((tmp_path / "control").exists)
                config = configured(tmp_path, server.url, f"[metrics]\nenabled = false\n{control}")
                environment = running_daemon.card.environment()
                only = ("--only", "instance", "--only", "loudspeaker")
                code, report = await examined(
                    tmp_path, *only, "--config", str(config), environment=environment
                )
        assert (code, levels(report)) == (os.EX_OK, {"instance": "warn"})
        assert [each["name"] for each in report["not_checked"]] == ["loudspeaker"]

    asyncio.run(run())


def test_without_sound_lines_are_for_people_and_nothing_is_opened(tmp_path: Path) -> None:
    config = configured(tmp_path, "ws://127.0.0.1:9/v1/realtime")
    process = doctor(tmp_path, "--no-sound", "--config", str(config), environment={})
    told, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (os.EX_UNAVAILABLE, "")
    lines = told.splitlines()
    assert all(re.match(r"(ok|warn|fail)  ", line) or line.startswith("not checked: ") for line in lines[:-1])
    assert any(re.match(r"fail  tls  .*Connection refused  -> ", line) for line in lines)
    assert not any("microphone" in line for line in lines)


def test_ctrl_c_in_the_middle_of_the_sound_ends_it_with_130_and_no_traceback(tmp_path: Path) -> None:
    with VirtualCard(tmp_path / "room", elastic=True, echo_db=-20.0) as card:
        config = configured(tmp_path, "ws://127.0.0.1:9/v1/realtime")
        arguments = ("--only", "loudspeaker", "--config", str(config))
        process = doctor(tmp_path, *arguments, environment=card.environment())
        try:
            assert process.stderr is not None
            assert "playing a test sound" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            told, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, told, errors) == (130, "", "")
