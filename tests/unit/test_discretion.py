"""What is repeated of a peer's complaints."""

import json
from time import monotonic

import pytest

from voice_agent.discretion import discreet
from voice_agent.errors import SessionError
from voice_agent.realtime.codec import decode_server
from voice_agent.realtime.events import ServerError
from voice_agent.wire.failures import at_close

WORDS = "meet me at noon"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Invalid value: 'session.voice'. It's not one of 'alloy' or \"ash\".", None),
        ("We can't do that, don't ask", None),
        ("the model `gpt-realtime` does not exist", None),
        (f"Invalid value: '{WORDS}'.", "Invalid value: '…'."),
        (f"Invalid value: “{WORDS}” («{WORDS}», `{WORDS}`)", "Invalid value: “…” («…», `…`)"),
        (json.dumps({"text": f'"{WORDS}", he said', "id": "x"}), '{"text": "…", "id": "x"}'),
        ("'" + "x" * 61 + "'", "'…'"),
        ("Incorrect API key provided: sk-abcDEF123456.", "Incorrect API key provided: …"),
        ("wrong key eyJhbGciOi.J9.abc-_x, t1.9euelZZZ and AQVN0123456789", "wrong key …, … and …"),
        ("proxy http://me:secret@proxy:3128/ refuses", "proxy http://…proxy:3128/ refuses"),
        ("", None),
    ],
)
def test_names_stay_and_quoted_words_and_keys_go(said: str, told: str | None) -> None:
    assert discreet(said) == (said if told is None else told)


@pytest.mark.parametrize(
    "said", ["'" * 100_000, '"\\' * 100_000, "`a" * 100_000, "://" * 100_000, "sk-" * 100_000]
)
def test_a_malicious_complaint_takes_no_time(said: str) -> None:
    began = monotonic()
    discreet(said)
    assert monotonic() - began < 1


def test_a_servers_error_and_its_goodbye_are_repeated_discreetly() -> None:
    event = decode_server(json.dumps({"type": "error", "error": {"message": f"bad: '{WORDS}'"}}))
    assert isinstance(event, ServerError)
    assert event.error.told == "bad: '…'"
    closed: SessionError = at_close(1011, f"bad: '{WORDS}'")
    assert WORDS not in str(closed)
