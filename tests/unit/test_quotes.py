"""What the log repeats of words that are not its own: nothing that anybody may have said."""

import io
import json
import logging
import sys
import threading

import pytest

from voice_agent.errors import ConnectFailed, ToolError
from voice_agent.telemetry import logs
from voice_agent.telemetry.quotes import MAX_CHARS, MAX_ERRORS, WITHHELD, Quotes

WORDS = "meet me at noon"


def line(*arguments: object, name: str = "mcp.client", in_full: bool = False) -> str:
    text, *rest = arguments
    record = logging.LogRecord(name, logging.WARNING, "x.py", 1, str(text), tuple(rest), None)
    return Quotes(in_full=in_full).message(record)


def raised(error: BaseException) -> logging.LogRecord:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 — of any kind
        return logging.makeLogRecord({"exc_info": (type(caught), caught, caught.__traceback__)})


def told(error: BaseException, *, in_full: bool = False) -> list[str]:
    return Quotes(in_full=in_full).traceback(raised(error))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (("Unclosed connection",), "Unclosed connection"),
        ((f"Failed to parse: {WORDS}",), "Failed to parse …"),
        (
            ("Task exception was never retrieved\nfuture: <Task %r>", WORDS),
            "Task exception was never retrieved …",
        ),
        (("got %r back", WORDS), "got …"),
        (("it took %d s of %d",), "it took %d s of %d"),
        ((f'{{"text": "{WORDS}"}}',), " …"),
        (("x" * 1000,), "x" * MAX_CHARS + " …"),
    ],
)
def test_of_another_packages_line_the_beginning_is_kept(said: tuple[object, ...], kept: str) -> None:
    assert line(*said) == kept
    assert line(*said, name="voice_agent_of_somebody_else") == kept


def test_our_own_lines_are_whole_and_all_are_where_words_are_wanted() -> None:
    assert line(f"reason: {WORDS}", name="voice_agent.herald") == f"reason: {WORDS}"
    assert line(f"Failed to parse: {WORDS}", in_full=True) == f"Failed to parse: {WORDS}"


@pytest.mark.parametrize("error", [ValueError(WORDS), KeyError(WORDS), ToolError(WORDS), UserWarning(WORDS)])
def test_an_errors_own_words_are_withheld(error: Exception) -> None:
    lines = told(error)
    assert WITHHELD in lines[-1]
    assert type(error).__name__ in lines[-1]
    assert WORDS not in "\n".join(lines)
    assert WORDS in "\n".join(told(error, in_full=True))


@pytest.mark.parametrize(
    "error", [AttributeError("no x"), OSError(5, "I/O"), ConnectFailed("no network"), RuntimeError("odd")]
)
def test_what_speaks_of_the_program_or_the_system_is_told(error: Exception) -> None:
    assert str(error) in told(error)[-1]


def test_causes_come_first_and_members_of_groups_are_told_too() -> None:
    group = ExceptionGroup("two", [OSError("one"), ValueError(WORDS)])
    group.__cause__ = KeyError(WORDS)
    lines = told(group)
    ends = [each for each in lines if each[0] != " " and not each.startswith("Traceback")]
    withheld = {f"KeyError: {WITHHELD}", f"ValueError: {WITHHELD}"}
    assert {*ends} == {*withheld, "OSError: one", "ExceptionGroup: two (2 sub-exceptions)"}
    assert ends[-1].startswith("ExceptionGroup")
    assert any("in raised" in each for each in lines)


def test_a_tree_is_cut_and_a_circle_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert len([each for each in told(first) if each.startswith("ValueError")]) == 2
    crowd = ExceptionGroup("crowd", [ValueError(str(number)) for number in range(1000)])
    assert len([each for each in told(crowd) if "ValueError" in each]) <= MAX_ERRORS


def test_a_line_that_cannot_be_formatted_shows_none_of_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    logging.getLogger("somebody").warning("%d apples", WORDS)
    assert "%d apples" in stream.getvalue()
    logging.getLogger("somebody").warning("apples", extra={"bad": Unspeakable(), "said": WORDS})
    assert WORDS not in stream.getvalue().replace(f"said={json.dumps(WORDS)}", "") + capsys.readouterr().err


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError(WORDS)


def test_what_a_thread_or_a_destructor_dies_of_is_a_line_without_its_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    logs.catch_strays()

    class Careless:
        def __del__(self) -> None:
            raise ValueError(WORDS)

    def fails() -> None:
        raise KeyError(WORDS)

    thread = threading.Thread(target=fails, name="cue")
    thread.start()
    thread.join()
    Careless()
    first, *_ = stream.getvalue().splitlines()
    assert first.endswith("telemetry.logs: a bug ended a thread helper=cue")
    assert "a bug where nobody can catch it where=" in stream.getvalue()
    assert f"KeyError: {WITHHELD}" in stream.getvalue()
    assert f"ValueError: {WITHHELD}" in stream.getvalue()
    assert WORDS not in stream.getvalue() + capsys.readouterr().err
