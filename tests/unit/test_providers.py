"""What differs between providers, where a mistake would cost a session."""

import pytest

from voice_agent.realtime.codec import encode
from voice_agent.realtime.events import SessionConfig, SessionUpdate
from voice_agent.realtime.providers import (
    AZURE,
    LOCAL,
    OPENAI,
    PROBE_ID,
    YANDEX,
    Provider,
    SessionSettings,
    custom,
    probe,
)


@pytest.mark.parametrize(
    ("provider", "limit_s"), [(OPENAI, 3600), (AZURE, 1800), (YANDEX, None), (LOCAL, None)]
)
def test_a_limit_is_known_only_where_the_provider_names_one(
    provider: Provider, limit_s: float | None
) -> None:
    assert provider.session_max_s == limit_s


@pytest.mark.parametrize("yandex", [True, False])
def test_nothing_is_known_of_the_limits_of_a_server_of_ones_own(yandex: bool) -> None:
    ours = custom("wss://x", "a", "b", yandex=yandex)
    assert (ours.session_max_s, ours.spread_s, ours.overlap) == (None, 0.0, True)


def test_a_fleet_that_starts_at_once_is_spread_where_sessions_are_rationed() -> None:
    assert [provider.spread_s for provider in (YANDEX, OPENAI, AZURE, LOCAL)] == [2.0, 0.5, 0.5, 0.0]


def test_a_probe_changes_nothing_and_names_itself() -> None:
    settings = SessionSettings(instructions="Be kind.")
    body = SessionConfig(type="realtime", instructions="Be kind.")
    assert probe(OPENAI, settings) == SessionUpdate(event_id=PROBE_ID, session=body)
    assert b'"session":{"instructions":"Be kind."}' in encode(probe(YANDEX, settings))
