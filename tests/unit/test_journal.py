"""Entries of the journal: what is sent, what happens when nobody takes it, and that nothing waits."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from voice_agent.telemetry import logs
from voice_agent.telemetry.journal import MAX_VALUE_BYTES, JournalHandler, encoded, field_name

ENOUGH = 5000
"""Entries that no queue holds."""


def decoded(datagram: bytes) -> dict[str, str]:
    """As the journal reads it."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, rest = datagram[8 : 8 + size], datagram[8 + size :]
            assert rest[:1] == b"\n"
            datagram = rest[1:]
        fields[name.decode()] = value.decode()
    return fields


class Rig:
    """A journal's two ends, and a logger that writes to them."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "socket")
        self.journal: socket.socket | None = None
        self.stream, self._ours = socket.socketpair()
        lines = logs.TextLines(journal=True)
        self.handler = JournalHandler(lines.entry, self._ours.fileno(), self.address)
        self.handler.setFormatter(lines)
        self.log = logging.getLogger("voice_agent.test_journal")
        self.log.handlers, self.log.propagate = [self.handler], False
        self.log.setLevel(logging.DEBUG)

    def listen(self) -> None:
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journal.bind(self.address)
        self.journal.setblocking(False)

    def leave(self) -> None:
        if self.journal is not None:
            self.journal.close()
            Path(self.address).unlink()
        self.journal = None

    def entry(self) -> dict[str, str]:
        assert self.journal is not None
        return decoded(self.journal.recv(1_000_000))

    def entries(self) -> Iterator[dict[str, str]]:
        while True:
            try:
                yield self.entry()
            except BlockingIOError:
                return

    def close(self) -> None:
        self.leave()
        self.handler.close()
        self.stream.close()
        self._ours.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = Rig(tmp_path)
    found.listen()
    yield found
    found.close()


def test_an_entry_has_the_text_for_people_and_a_field_for_each_extra(rig: Rig) -> None:
    rig.log.warning("no %s", "session", extra={"cause": "dns", "retry_s": 4.21345, "turn": 12})
    entry = rig.entry()
    assert entry.pop("CODE_FILE") == __file__
    assert int(entry.pop("CODE_LINE")) > 0
    assert entry == {
        "MESSAGE": "test_journal: no session cause=dns retry_s=4.213 turn=12",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "voice-agent",
        "CODE_FUNC": test_an_entry_has_the_text_for_people_and_a_field_for_each_extra.__name__,
        "VOICE_AGENT_EVENT": "no session",
        "VOICE_AGENT_LOGGER": "voice_agent.test_journal",
        "VOICE_AGENT_CAUSE": "dns",
        "VOICE_AGENT_RETRY_S": "4.213",
        "VOICE_AGENT_TURN": "12",
    }


def test_a_traceback_belongs_to_its_entry(rig: Rig) -> None:
    try:
        raise RuntimeError("odd")
    except RuntimeError:
        rig.log.exception("failed")
    (entry,) = rig.entries()
    first, *rest = entry["MESSAGE"].splitlines()
    assert first == "test_journal: failed"
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "RuntimeError: odd"


def test_nobody_else_can_add_a_field(rig: Rig) -> None:
    rig.log.info("said %s", "x\nPRIORITY=0", extra={"words": "a\nPRIORITY=0\n", "odd-name\n": "\ud800"})
    entry = rig.entry()
    assert entry["PRIORITY"] == "6"
    assert entry["MESSAGE"].startswith(r"test_journal: said x\nPRIORITY=0 ")
    assert entry["VOICE_AGENT_WORDS"] == r"a\nPRIORITY=0\n"
    assert entry["VOICE_AGENT_ODD_NAME_"] == r"\ud800"


def test_several_lines_go_with_their_length() -> None:
    value = "a\nPRIORITY=0\n"
    assert encoded({"X": value}) == b"X\n" + len(value).to_bytes(8, "little") + value.encode() + b"\n"


def test_a_field_name_is_one_that_the_journal_takes() -> None:
    assert field_name("tool") == "VOICE_AGENT_TOOL"
    assert field_name("Ключ=1" * 20) == "VOICE_AGENT_" + ("_____1" * 20)[:52]


def test_an_endless_line_is_cut(rig: Rig) -> None:
    rig.log.info("x" * 1_000_000, extra={"more": "ж" * 1_000_000})
    (entry,) = rig.entries()
    assert len(entry["MESSAGE"]) == MAX_VALUE_BYTES


def test_what_is_cut_ends_with_a_whole_character(rig: Rig) -> None:
    for before in ("", "x"):
        rig.log.info("%s", before + "я" * MAX_VALUE_BYTES)
    assert [entry["MESSAGE"][-1] for entry in rig.entries()] == ["я", "я"]


def test_what_the_journal_does_not_take_goes_to_its_stream(rig: Rig) -> None:
    rig.leave()
    rig.log.warning("nobody there", extra={"cause": "x"})
    assert rig.stream.recv(1000) == b"<4>test_journal: nobody there cause=x\n"
    rig.listen()
    rig.log.info("again")
    assert rig.entry()["MESSAGE"] == "test_journal: again", "a new journal is found by itself"


def test_a_journal_that_stands_still_makes_nobody_wait_and_the_loss_is_told(rig: Rig) -> None:
    began = monotonic()
    for number in range(ENOUGH):
        rig.log.info("line %d", number, extra={"ballast": "x" * 1000})
    assert monotonic() - began < 5, "a queue that is full is not waited for"
    taken = list(rig.entries())
    streamed = rig.stream.recv(10_000_000).decode().splitlines()
    while more := _rest(rig.stream):
        streamed += more
    assert all(line.startswith("<6>test_journal: line ") for line in streamed), "whole lines or none"
    rig.log.info("well again")
    told, last = rig.entries()
    assert last["MESSAGE"] == "test_journal: well again"
    assert told["PRIORITY"] == "4"
    assert int(told["VOICE_AGENT_LINES"]) == ENOUGH - len(taken) - len(streamed)


def _rest(stream: socket.socket) -> list[str]:
    try:
        return stream.recv(10_000_000, socket.MSG_DONTWAIT).decode().splitlines()
    except BlockingIOError:
        return []


def test_setup_prefers_entries_where_stderr_is_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w") as stream:
        status = os.fstat(ours.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        logs.setup(stream=stream)
        handler = logging.getLogger().handlers[0]
        assert isinstance(handler, JournalHandler)
        logs.setup(form="json", stream=stream)
        assert not isinstance(logging.getLogger().handlers[0], JournalHandler), "JSON was asked for"


class Unprintable:
    def __str__(self) -> str:
        raise ZeroDivisionError


def test_a_value_that_cannot_be_printed_costs_its_line_and_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    rig.log.warning("no line", extra={"bad": Unprintable()})
    rig.log.warning("neither %s", Unprintable())
    rig.log.warning("a line")
    *losses, line = rig.entries()
    assert [lost["VOICE_AGENT_LINES"] for lost in losses] == ["1", "1"]
    assert line["MESSAGE"].endswith("a line")
