"""News once, then counted."""

import logging
import sys
import threading
from collections.abc import Iterator
from weakref import WeakSet, ref

import pytest

from voice_agent import repeats
from voice_agent.repeats import FORGET_S, MAX_KINDS, Repeats

log = logging.getLogger("voice_agent.test_repeats")
Told = list[tuple[str, str]]


class Pen(logging.Handler):
    """Keeps level and text of each line, and no record, which would keep more."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append((record.levelname, record.getMessage()))


@pytest.fixture
def written() -> Iterator[Told]:
    pen, before = Pen(), log.level
    log.addHandler(pen)
    log.setLevel(logging.DEBUG)
    yield pen.told
    log.setLevel(before)
    log.removeHandler(pen)


def loud(written: Told) -> Told:
    return [each for each in written if each[0] != "DEBUG"]


def test_the_first_is_told_the_others_are_whispered_and_counted_at_the_end(written: Told) -> None:
    faults = Repeats(log)
    for second in range(0, 721, 20):
        faults.tell("dns", "no session", {"cause": "dns"}, now=second)
    assert [level for level, _ in written] == ["WARNING", *["DEBUG"] * 36]
    faults.over(now=721)
    assert written[-1] == ("INFO", '"no session" came 36 more times in 12 min')
    faults.tell("dns", "no session", {}, now=722)
    assert written[-1] == ("WARNING", "no session"), "after its end it is news again"


def test_what_comes_once_is_one_line(written: Told) -> None:
    faults = Repeats(log)
    faults.tell("dns", "no session", {}, now=0)
    faults.over(now=5)
    faults.look(FORGET_S * 2)
    assert written == [("WARNING", "no session")]


def test_what_lasts_is_told_once_an_hour(written: Told) -> None:
    faults = Repeats(log)
    for second in range(0, 86_400, 60):
        faults.tell("dns", "no session", {}, level=logging.ERROR, now=second)
        faults.look(second)
    assert loud(written) == [
        ("ERROR", "no session"),
        *[("ERROR", '"no session" came 60 more times in 60 min')] * 23,
    ]


def test_each_kind_is_counted_for_itself(written: Told) -> None:
    faults = Repeats(log)
    for second in range(10):
        faults.tell("a", "the one", {}, now=second)
        faults.tell("b", "the other", {}, now=second)
    faults.over("a", now=10)
    assert [text for _, text in loud(written)] == [
        "the one",
        "the other",
        '"the one" came 9 more times in 9 s',
    ]


def test_an_end_may_be_premature(written: Told) -> None:
    faults = Repeats(log)
    for second in range(0, 300, 30):
        faults.tell("flap", "lost", {}, now=second)
        faults.over(within_s=60, now=second + 1)
        faults.look(second + 20)
    assert loud(written) == [("WARNING", "lost")]
    faults.look(400)
    assert loud(written)[1:] == [("INFO", '"lost" came 9 more times in 4 min')]


def test_what_has_not_come_for_long_is_over(written: Told) -> None:
    faults = Repeats(log)
    faults.tell("a", "odd", {}, now=0)
    faults.tell("a", "odd", {}, now=10)
    faults.look(FORGET_S)
    assert loud(written) == [("WARNING", "odd")]
    faults.tell("a", "odd", {}, now=FORGET_S + 10)
    assert loud(written)[1:] == [("INFO", '"odd" came once more in 10 s'), ("WARNING", "odd")]


def test_endless_kinds_fill_neither_memory_nor_log(written: Told) -> None:
    faults = Repeats(log)
    for number in range(10 * MAX_KINDS):
        assert faults.tell(number, "odd", {}, now=0) is (number < MAX_KINDS)
    assert len(loud(written)) == MAX_KINDS
    assert len(faults._series) == MAX_KINDS


def test_the_summary_has_the_last_ones_details_and_the_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=log.name):
        faults = Repeats(log)
        faults.tell("a", "odd", {"reason": "first"}, now=0)
        faults.tell("a", "odd", {"reason": "last"}, now=10)
        faults.over(now=20)
    fields = caplog.records[-1].__dict__
    assert (fields["reason"], fields["again"], fields["within_s"]) == ("last", 1, 10)
    assert caplog.records[0].funcName == test_the_summary_has_the_last_ones_details_and_the_numbers.__name__


def test_all_logs_are_looked_at_and_none_is_kept_alive(
    written: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Repeats, "_all", WeakSet())  # those of other tests have a clock of their own
    faults = Repeats(log)
    faults.tell("a", "odd", {}, now=0)
    faults.tell("a", "odd", {}, now=1)
    monkeypatch.setattr(repeats, "monotonic", lambda: FORGET_S + 1)
    Repeats.look_everywhere()
    assert loud(written)[-1] == ("INFO", '"odd" came once more in 1 s')
    gone = ref(faults)
    del faults
    assert gone() is None


def test_who_looks_while_another_does_sums_up_once(written: Told) -> None:
    faults = Repeats(log)
    for kind in ("dns", "tls"):
        for second in (0, 1):
            faults.tell(kind, kind, {}, now=second)

    class Neighbour(logging.Handler):
        """A thread that comes in between, as far as a test can hold it to that."""

        def emit(self, _record: logging.LogRecord) -> None:
            log.removeHandler(self)
            faults.look(FORGET_S * 2)

    log.addHandler(Neighbour())
    faults.look(FORGET_S * 2)
    assert [text for level, text in written if level == "INFO"] == [
        '"dns" came once more in 1 s',
        '"tls" came once more in 1 s',
    ]


def test_whoever_begins_to_count_in_a_thread_disturbs_nobody_who_looks() -> None:
    interval, over = sys.getswitchinterval(), threading.Event()

    def count() -> None:
        while not over.is_set():
            [Repeats(log) for _ in range(50)]

    thread = threading.Thread(target=count)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(10_000):
            Repeats.look_everywhere()
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()
