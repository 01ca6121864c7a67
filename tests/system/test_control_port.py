"""`voice-agent serve --control`: faults struck from another process, as the guide shows."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system]


@contextmanager
def serving(directory: Path) -> Iterator[tuple[str, str]]:
    """A server with a control port: where clients connect, and where faults are asked for."""
    script = directory / "script.json"
    script.write_text("{}")
    command = [sys.executable, "-m", "voice_agent", "serve", "--script", str(script)]
    process = subprocess.Popen([*command, "--port", "0", "--control", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = process.stdout.readline() + process.stdout.readline()
        (faults,) = re.findall(r"^faults at (http://127\.0\.0\.1:\d+/faults)$", lines, re.MULTILINE)
        (url,) = re.findall(r"^listening on ws(://127\.0\.0\.1:\d+/v1/realtime)$", lines, re.MULTILINE)
        yield "http" + url, faults
    finally:
        process.terminate()
        process.communicate(timeout=10)


def status(url: str) -> int:
    """What a client that asks for a session is told."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_fault_struck_from_outside_meets_the_next_client(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, faults):
        fault = {"after": "upgrade", "do": "refuse", "code": 503}
        with urllib.request.urlopen(faults, json.dumps(fault).encode(), timeout=5) as answer:
            assert json.load(answer)["faults"][0]["code"] == 503
        assert status(url) == 503
        assert status(url) == 400, "an ordinary request is no upgrade, and no fault is left"
