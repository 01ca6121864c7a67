"""The real process behind TLS and a password: metrics, health and events."""

import asyncio
import json
import re
import signal
import ssl
from base64 import b64encode
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.certificates import certificate, needs_openssl
from tests.system.harness import Daemon, daemon, scene

pytestmark = [pytest.mark.system, pytest.mark.audio]

NOBODY = "ws://127.0.0.1:9/v1/realtime"
PASSWORD = "correct-horse-battery-staple"


def settings(directory: Path) -> str:
    (directory / "password").write_text(PASSWORD)
    (directory / "password").chmod(0o600)
    files = f'tls_cert_file = "{directory}/cert"\ntls_key_file = "{directory}/key"\n'
    return f'[metrics]\n{files}user = "fleet"\npassword_file = "{directory}/password"\n'


def client(voice: Daemon, trust: ssl.SSLContext, password: str = PASSWORD) -> aiohttp.ClientSession:
    ((port, guarded),) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)(.*)", voice.log)
    assert guarded == " tls=True password=True"
    return aiohttp.ClientSession(
        f"https://127.0.0.1:{port}",
        connector=aiohttp.TCPConnector(ssl=trust),
        headers={"Authorization": f"Basic {b64encode(f'fleet:{password}'.encode()).decode()}"},
    )


@needs_openssl
@scene
async def test_everything_is_served_behind_tls_and_a_password(tmp_path: Path) -> None:
    _, trust = certificate(tmp_path, "IP:127.0.0.1")
    with daemon(tmp_path, NOBODY, settings=settings(tmp_path), card=False) as voice:
        await voice.until_logged("metrics are served")
        async with client(voice, trust, "wrong") as stranger, stranger.get("/") as page:
            assert page.status == 401
        await voice.until_logged("a wrong user or password was given for the metrics host=127.0.0.1")
        async with client(voice, trust) as fleet:
            async with fleet.get("/metrics") as figures:
                assert "voice_agent_metrics_refusals_total 1.0" in await figures.text()
            async with fleet.get("/healthz") as health:
                assert await health.json() == {"healthy": True, "problems": []}
            async with fleet.get("/events") as events:
                assert events.content_type == "text/event-stream"
                uptimes = []
                for _ in range(3):
                    assert await events.content.readline() == b"event: report\n"
                    report = json.loads((await events.content.readline()).removeprefix(b"data: "))
                    uptimes.append(report["uptime_s"])
                    assert await events.content.readline() == b"\n"
                assert uptimes == sorted(set(uptimes))
                code, seconds = await asyncio.to_thread(voice.stop, signal.SIGTERM)
                assert code == 0
                assert seconds < 4, "whoever watches does not hold it up"
        assert PASSWORD not in voice.log
