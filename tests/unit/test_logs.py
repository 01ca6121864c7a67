"""Log lines and messages to the service manager, byte by byte."""

import io
import json
import logging
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from voice_agent.telemetry import logs
from voice_agent.telemetry.systemd import ServiceManager


def lines(*, form: logs.Format = "text", level: str = "info", log: str = "voice_agent.session") -> "Lines":
    return Lines(form, level, log)


class Lines:
    """A logger whose lines can be read."""

    def __init__(self, form: logs.Format, level: str, name: str) -> None:
        self._stream = io.StringIO()
        logs.setup(level, form, self._stream)
        self.log = logging.getLogger(name)

    @property
    def written(self) -> list[str]:
        return self._stream.getvalue().splitlines()


def test_a_text_line_has_time_level_source_message_and_pairs() -> None:
    out = lines()
    out.log.warning("lost %s", "it", extra={"code": 1006, "after_s": 1.23456, "why": "no pong", "none": ""})
    (line,) = out.written
    assert re.fullmatch(
        r'\d\d:\d\d:\d\d\.\d{3} WARNING session: lost it code=1006 after_s=1\.235 why="no pong" none=""', line
    )


def test_nobody_else_can_write_a_line_of_ours() -> None:
    out = lines()
    out.log.info("said %s", "x\n<0>forged\x1b[2J", extra={"name_": "a\nb", "quote": 'a"b=c'})
    (line,) = out.written
    assert line.endswith(r'said x\n<0>forged\x1b[2J name_="a\nb" quote="a\"b=c"')


def test_a_json_line_carries_the_same_and_is_always_json() -> None:
    out = lines(form="json")
    out.log.error("lost\nit", extra={"code": 1006, "who": Path("/x"), "text": "Привет"})
    entry = json.loads(out.written[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry.pop("time"))
    assert entry == {
        "level": "error",
        "logger": "voice_agent.session",
        "message": "lost\nit",
        "code": 1006,
        "who": "/x",
        "text": "Привет",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_follows(form: logs.Format) -> None:
    out = lines(form=form)
    try:
        raise RuntimeError("odd")
    except RuntimeError:
        out.log.exception("failed")
    assert "RuntimeError: odd" in "\n".join(out.written)
    assert len(out.written) == 1 if form == "json" else len(out.written) > 2


def test_in_the_journal_every_line_begins_with_its_priority() -> None:
    formatter = logs.TextLines(journal=True)
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.makeLogRecord(
            {"name": "voice_agent.x", "levelno": logging.ERROR, "msg": "failed", "exc_info": sys.exc_info()}
        )
    first, *rest = formatter.format(record).splitlines()
    assert first == "<3>x: failed"
    assert rest
    assert all(line.startswith("<3>") for line in rest)


def test_the_journal_is_known_by_its_device_and_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a").open("w") as journal, (tmp_path / "b").open("w") as other:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert logs.is_journal(journal)
        assert not logs.is_journal(other)
        assert not logs.is_journal(io.StringIO())


def test_the_level_is_for_this_package_and_others_only_warn() -> None:
    out = lines(level="debug")
    out.log.debug("ours")
    logging.getLogger("aiohttp").info("theirs")
    logging.getLogger("aiohttp").warning("their warning")
    assert [line.split(" ", 2)[2].strip() for line in out.written] == [
        "session: ours",
        "aiohttp: their warning",
    ]


def test_the_service_manager_hears_utf8_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        manager = ServiceManager()
        manager.ready()
        manager.status("микрофон:\nnone")
        manager.alive()
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        manager.alive()
        manager.stopping()
        heard = [systemd.recv(1000).decode() for _ in range(4)]
        manager.close()
    assert heard == ["READY=1", "STATUS=микрофон: none", "WATCHDOG=1", "STOPPING=1"], "no watchdog, no word"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager()
    manager.ready()
    manager.close()
