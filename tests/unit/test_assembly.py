"""From a configuration to endpoints, settings and tools."""

import json
from pathlib import Path

import pytest

from voice_agent import config
from voice_agent.assembly import (
    budget_for,
    control_socket_for,
    endpoint_for,
    lifetime_for,
    mixer_for,
    passed_tools_for,
    provider_for,
    settings_for,
    spread_for,
    toolbox_for,
    weather_for,
)
from voice_agent.credentials import Secret
from voice_agent.dialogue import Reply
from voice_agent.errors import ConfigError
from voice_agent.realtime.providers import History
from voice_agent.wire.resolver import SYSTEM

KEY = Secret("AQVN-key")


def parsed(text: str) -> config.Config:
    settings, problems = config.parse(text)
    assert not problems, problems
    return settings


@pytest.mark.parametrize(
    ("provider", "url", "header", "value"),
    [
        (
            'kind = "yandex"\nfolder = "b1g"',
            "wss://ai.api.cloud.yandex.net/v1/realtime?model=gpt://b1g/speech-realtime-260528",
            "Authorization",
            "Api-Key AQVN-key",
        ),
        (
            'kind = "yandex"\nfolder = "b1g"\nmodel = "speech-realtime-250923"\nauth = "bearer"',
            "wss://ai.api.cloud.yandex.net/v1/realtime?model=gpt://b1g/speech-realtime-250923",
            "Authorization",
            "Bearer AQVN-key",
        ),
        (
            'kind = "openai"',
            "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1",
            "Authorization",
            "Bearer AQVN-key",
        ),
        (
            'kind = "azure"\nresource = "r"\ndeployment = "d"',
            "wss://r.openai.azure.com/openai/v1/realtime?model=d",
            "api-key",
            "AQVN-key",
        ),
        (
            'kind = "azure"\nresource = "r"\ndeployment = "d"\nauth = "bearer"',
            "wss://r.openai.azure.com/openai/v1/realtime?model=d",
            "Authorization",
            "Bearer AQVN-key",
        ),
        (
            'kind = "custom"\nurl = "wss://h/{x}?a=1"\nauth_header = "X-Key"\nauth_scheme = ""',
            "wss://h/{x}?a=1",
            "X-Key",
            "AQVN-key",
        ),
    ],
)
def test_a_provider_is_reached_at_its_address_in_its_way(
    provider: str, url: str, header: str, value: str
) -> None:
    endpoint = endpoint_for(parsed(f"[provider]\n{provider}\n"), KEY)
    assert endpoint.url == url
    assert endpoint.headers == {header: value}


def test_the_local_server_needs_no_key() -> None:
    endpoint = endpoint_for(parsed(""), None)
    assert endpoint.url == "ws://127.0.0.1:8765/v1/realtime?model=embedded"
    assert endpoint.headers == {}


def test_names_are_percent_encoded_in_addresses() -> None:
    endpoint = endpoint_for(parsed('[provider]\nkind = "openai"\nmodel = "a&b=c/d"\n'), KEY)
    assert endpoint.url.endswith("?model=a%26b%3Dc%2Fd")


def test_sessions_are_renewed_by_the_provider_s_limit_unless_set() -> None:
    assert lifetime_for(parsed('[provider]\nkind = "openai"\n')).limit_s == 3600
    assert lifetime_for(parsed('[provider]\nkind = "yandex"\nfolder = "b1g"\n')).limit_s is None
    wanted = parsed('[provider]\nkind = "openai"\n[session]\nmax_session_s = 900\n')
    assert lifetime_for(wanted).limit_s == 900
    never = parsed('[provider]\nkind = "openai"\n[session]\nmax_session_s = 0\n')
    assert lifetime_for(never).limit_s is None


def test_a_fleet_s_start_is_spread_as_the_provider_needs_unless_set() -> None:
    yandex = '[provider]\nkind = "yandex"\nfolder = "b1g"\n'
    assert spread_for(parsed(yandex)) == 2
    assert spread_for(parsed(yandex + "[reconnect]\nspread_s = 30\n")) == 30
    assert spread_for(parsed('[provider]\nkind = "local"\n')) == 0


def test_the_model_that_writes_down_what_is_said_can_be_chosen() -> None:
    azure = '[provider]\nkind = "azure"\nresource = "r"\ndeployment = "d"\n'
    assert provider_for(parsed(azure)).transcription_model is None
    wanted = parsed(azure + '[session]\ntranscription_model = "whisper"\n')
    assert provider_for(wanted).transcription_model == "whisper"


def test_only_a_limited_day_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    budget_for(parsed("")).close()
    assert list(tmp_path.iterdir()) == []
    budget_for(parsed("[budget]\ntokens = 1000\n")).close()
    assert [path.name for path in tmp_path.iterdir()] == ["budget.json"]


def test_rates_are_the_provider_s_unless_set() -> None:
    yandex = '[provider]\nkind = "yandex"\nfolder = "b1g"\n'
    settings = settings_for(parsed(yandex), ())
    assert (settings.input_rate, settings.output_rate) == (24000, 44100)
    settings = settings_for(parsed(yandex + "[session]\noutput_rate = 16000\n"), ())
    assert (settings.input_rate, settings.output_rate) == (24000, 16000)


def test_what_the_operator_wants_of_a_session_is_passed_on() -> None:
    text = """
        [provider]
        kind = "custom"
        url = "wss://h/"
        dialect = "yandex"
        [session]
        instructions = "Be brief."
        voice = "dasha"
        role = "friendly"
        speed = 1.1
        languages = ["ru-RU"]
        [session.turn_detection]
        threshold = 0.6
        silence_duration_ms = 700
        interrupt_response = false
        [tools.web_search]
        enabled = true
        [tools.file_search]
        vector_store_id = "fvt1"
    """
    wanted = parsed(text)
    settings = settings_for(wanted, ())
    assert (settings.instructions, settings.voice, settings.role) == ("Be brief.", "dasha", "friendly")
    assert (settings.speed, settings.languages) == (1.1, ("ru-RU",))
    assert settings.turn_detection is not None
    assert (settings.turn_detection.threshold, settings.turn_detection.silence_duration_ms) == (0.6, 700)
    assert not settings.server_interrupts
    assert (settings.web_search, settings.file_search) == (True, "fvt1")
    assert provider_for(wanted).server_tools
    assert provider_for(wanted).history is History.RECAP


def test_the_controls_are_where_systemd_or_the_user_s_session_has_a_place_for_them() -> None:
    both = {"RUNTIME_DIRECTORY": "/run/voice-agent:/x", "XDG_RUNTIME_DIR": "/run/user/1000"}
    assert control_socket_for(parsed(""), both) == Path("/run/voice-agent/control")
    own = {"XDG_RUNTIME_DIR": "/run/user/1000"}
    assert control_socket_for(parsed(""), own) == Path("/run/user/1000/voice-agent/control")
    assert control_socket_for(parsed(""), {}) is None
    assert control_socket_for(parsed('[control]\nsocket = "/x"\n'), both) == Path("/x")
    assert control_socket_for(parsed('[control]\nsocket = ""\n'), both) is None


def test_a_mixer_is_turned_only_if_one_is_named() -> None:
    assert mixer_for(parsed("")) is None
    assert mixer_for(parsed('[audio.output]\nmixer = "PCM"\n')) is not None


def test_only_enabled_tools_are_offered() -> None:
    everything = [spec.name for spec in toolbox_for(parsed("")).specs()]
    ours = ["set_volume", "mute_microphone", "stop", "repeat_answer", "get_device_status", "end_conversation"]
    assert everything[:2] == ["get_weather", "get_time"]
    assert set(ours) <= set(everything)
    some = toolbox_for(parsed('[tools]\nenabled = ["get_time"]\n')).specs()
    assert [spec.name for spec in some] == ["get_time"]


@pytest.mark.parametrize(
    ("settings", "language", "units"),
    [
        ("", "en", "metric"),
        ('[session]\nlanguages = ["en-US"]\n', "en", "imperial"),
        ('[session]\nlanguages = ["ru-RU", "en_us"]\n', "ru", "imperial"),
        ('[session]\nlanguages = ["en-US"]\n[tools.weather]\nunits = "metric"\n', "en", "metric"),
        ('[tools.weather]\nunits = "imperial"\n[cues]\nlanguage = "ru"\n', "ru", "imperial"),
        ('[session]\ninstructions = "Ты голосовой помощник."\n', "ru", "metric"),
    ],
)
def test_the_weather_is_told_in_the_devices_language_and_units(
    settings: str, language: str, units: str
) -> None:
    handler = weather_for(parsed(settings)).handler
    weather = handler.__self__  # type: ignore[attr-defined]
    assert (weather._home.language, weather._home.units) == (language, units)
    assert weather._service.resolver is SYSTEM, "a look-up must neither block nor hold up the exit"


# ------------------------------------------------------------------------------------ declared tools

DECLARED = """
[[tools.http]]
name = "probe"
description = "A probe."
url = "https://x.example/"
[[tools.command]]
name = "lamp"
description = "A lamp."
argv = ["/bin/true"]
speak = "never"
[[tools.command]]
name = "off"
description = "Not now."
argv = ["/bin/true"]
enabled = false
[[tools.provider]]
type = "mcp"
server_label = "docs"
require_approval = "never"
key_from = "docs"
[[tools.provider]]
type = "web_search"
"""


def test_declared_tools_are_offered_beside_the_built_in_ones() -> None:
    box = toolbox_for(parsed(f'[tools]\nenabled = ["get_time"]\n{DECLARED}'))
    assert [spec.name for spec in box.specs()] == ["get_time", "probe", "lamp"]
    assert box.manners("lamp").reply is Reply.NEVER


def test_tools_of_the_provider_are_passed_on_with_their_credential() -> None:
    passed = passed_tools_for(parsed(DECLARED), lambda name: Secret(f"{name}-token"))
    assert [json.loads(bytes(each)) for each in passed] == [
        {"type": "mcp", "server_label": "docs", "require_approval": "never", "authorization": "docs-token"},
        {"type": "web_search"},
    ]


def test_a_tool_of_the_provider_without_its_credential_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def missing(name: str) -> Secret:
        raise ConfigError(f"credential {name}", "there is none")

    assert [json.loads(bytes(each)) for each in passed_tools_for(parsed(DECLARED), missing)] == [
        {"type": "web_search"}
    ]
    assert "a tool of the provider is left out" in caplog.text
