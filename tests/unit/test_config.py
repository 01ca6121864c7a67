"""The configuration: what is accepted, and what an operator is told about the rest."""

import re
import tomllib
from pathlib import Path

import pytest
from msgspec import NODEFAULT

from voice_agent import config
from voice_agent.config import Config, InvalidConfig, Problem
from voice_agent.config.reading import MAX_BYTES
from voice_agent.config.shapes import example, settings
from voice_agent.errors import Unreadable

YANDEX = '[provider]\nkind = "yandex"\nfolder = "b1gfolder"\n'
KEY = "AQVN" + "x7" * 18


def problems(text: str) -> dict[str, str]:
    """Path to "what; remedy" of every problem in a file."""
    return {problem.path: f"{problem.what}; {problem.remedy}" for problem in config.parse(text)[1]}


def custom(url: str, more: str = "") -> str:
    return f'[provider]\nkind = "custom"\nurl = "{url}"\n{more}'


# ------------------------------------------------------------------------------- defaults and template


def test_an_empty_file_is_the_defaults() -> None:
    assert config.parse("") == (Config(), [])


def test_the_template_parses_back_to_the_defaults() -> None:
    assert config.parse(config.template()) == (Config(), [])


def uncommented() -> str:
    """The template with the examples that stand in comments as settings."""
    return re.sub(r"(?m)^# (\w+ = |\[\[)", r"\1", config.template())


def test_the_template_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads(uncommented())
    for path, field in settings(Config):
        value: object = shown
        for key in path.split("."):
            assert isinstance(value, dict)
            value = value[key[:-2]][0] if key.endswith("[]") else value[key]
        if field.default not in (None, NODEFAULT) and not example(field.type):
            assert value == (list(field.default) if isinstance(field.default, tuple) else field.default), path


def test_the_examples_in_the_template_are_acceptable_when_uncommented() -> None:
    text = uncommented()
    assert text.count("\n[[tools.") == 4
    assert config.parse(text)[1] == []


def test_every_setting_is_described() -> None:
    lines = config.template().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"(# )?\w+ = ", line):
            assert re.match(r"# \S.{10,}|# \S+\.$", lines[number - 1]), line


def test_values_arrive_where_they_belong() -> None:
    read, wrong = config.parse(
        YANDEX + '[session]\nlanguages = ["ru-RU"]\nspeed = 1\n[session.turn_detection]\nthreshold = 0.7'
    )
    assert wrong == []
    assert (read.provider.folder, read.session.languages, read.session.speed) == (
        "b1gfolder",
        ("ru-RU",),
        1.0,
    )
    assert read.session.turn_detection.threshold == 0.7
    assert read.session.turn_detection.silence_duration_ms == 400


def test_a_cap_of_zero_a_session_without_end_and_quick_parking_at_home_are_sound() -> None:
    assert config.parse(YANDEX + "[session]\nmax_session_s = 0\npark_after_s = 0")[1] == []
    read, wrong = config.parse("[session]\nmax_session_s = 2\npark_after_s = 1\n[budget]\ntokens = 7")
    assert wrong == []
    assert (read.session.max_session_s, read.session.park_after_s, read.budget.tokens) == (2.0, 1.0, 7)


# --------------------------------------------------------------------------------- single settings


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ('[session]\nvoise = "dasha"', "session.voise", 'did you mean "voice"?'),
        ('voice = "dasha"', "voice", "did you mean session.voice?"),
        ("[telephony]\nx = 1", "telephony", "is not a setting; delete it; here can stand: provider, session"),
        ("[log]\nlevel = 3", "log.level", 'is 3; set it to one of "debug"'),
        ('[log]\nlevel = "inof"', "log.level", 'did you mean "info"?'),
        ("[log]\ntranscripts = 1", "log.transcripts", "is 1; set it to true or false"),
        (
            "[audio.output]\nblock_ms = 1000",
            "audio.output.block_ms",
            "is 1000; set it to a whole number from 5 to",
        ),
        ("[audio.output]\nblock_ms = true", "audio.output.block_ms", "is true; set it to a whole number"),
        ("[audio.output]\nblock_ms = 10.5", "audio.output.block_ms", "is 10.5; set it to a whole number"),
        ("[audio.output]\nfade_ms = nan", "audio.output.fade_ms", "set it to a number from 0 to 50"),
        (
            '[audio.input]\ndevice = ""',
            "audio.input.device",
            'is ""; set it to text in quotes, "...", and not',
        ),
        ("[session]\nvoice = 2026-11-22", "session.voice", "is a date; set it to text in quotes"),
        ("session = 5", "session", "is 5; make it a table: [session]"),
        ("[[session]]\n", "session", "is a list; make it a table"),
        ('[tools]\nenabled = ["get_wether"]', "tools.enabled[0]", 'did you mean "get_weather"?'),
        ('[tools]\nenabled = "get_time"', "tools.enabled", "set it to a list, each one of"),
        ('[gate]\nmode = "push_to_talk"', "gate.mode", 'did you mean "push-to-talk"?'),
        ("[gate]\npre_roll_ms = 100", "gate.pre_roll_ms", "set it to a whole number from 500 to 2000"),
        ('[control]\nsocket = "here"', "control.socket", "begin it with /"),
        ('[button]\ndevice = "event0"', "button.device", "begin it with /"),
        (
            "[control]\nhttp = true\n[metrics]\nenabled = false",
            "control.http",
            "has no port while metrics are off; set metrics.enabled = true",
        ),
        (
            '[tools.weather]\nforecast_url = "http://["',
            "tools.weather.forecast_url",
            "write https://host/path",
        ),
        ('[tools.weather]\ngeocoding_url = "ftp://x"', "tools.weather.geocoding_url", "is not a web address"),
        ("[reconnect]\nfirst_s = 9\ncap_s = 3", "reconnect.first_s", "is above reconnect.cap_s"),
        (YANDEX + "[session]\nmax_session_s = 20", "session.max_session_s", "set it to 60 or more, or to 0"),
        (YANDEX + "[session]\npark_after_s = 2", "session.park_after_s", "would open sessions all the time"),
        ("[budget]\ntokens = -1", "budget.tokens", "a whole number from 0"),
        ('[cues]\nlanguage = "de"', "cues.language", 'one of "auto", "en", "ru"'),
        ('[cues]\nquiet = ["redy"]', "cues.quiet[0]", 'did you mean "ready"?'),
        ('[cues]\nfolder = "sounds"', "cues.folder", "is not an absolute path"),
        (
            '[metrics]\naddress = "0.0.0.0"',
            "metrics.address",
            "would be open to other machines without protection; set tls_cert_file and user or",
        ),
        (
            '[metrics]\naddress = "192.0.2.7"\nuser = "alice"',
            "metrics.address",
            "protection; set tls_cert_file (docs",
        ),
        (
            '[metrics]\naddress = "::"\ntls_cert_file = "/c"',
            "metrics.address",
            "protection; set user or tls_client_ca_file (",
        ),
        ('[metrics]\naddress = "localhost"', "metrics.address", "is not an IP address; write 127.0.0.1"),
        ('[metrics]\ntls_cert_file = "c"', "metrics.tls_cert_file", "begin it with /"),
        ('[metrics]\ntls_key_file = "/k"', "metrics.tls_key_file", "without a certificate; set tls_cert"),
        ('[metrics]\npassword_file = "/p"', "metrics.password_file", 'is nobody\'s; add user = "..."'),
        ('[metrics]\ntextfile = "a.prom"', "metrics.textfile", "absolute path of a *.prom file"),
        ('[metrics]\ntextfile = "/a.txt"', "metrics.textfile", "*.prom file; others are not read"),
        ('[metrics]\nuser = "al:ice"', "metrics.user", "one word"),
        ("[metrics]\nport = 65536", "metrics.port", "a whole number from 0 to 65535"),
    ],
)
def test_a_faulty_setting_is_named_with_its_remedy(text: str, path: str, told: str) -> None:
    found = problems(text)
    assert list(found) == [path]
    assert told in found[path]


@pytest.mark.parametrize(
    "lines",
    [
        'tls_cert_file = "/c"\nuser = "alice"',
        'tls_cert_file = "/c"\ntls_client_ca_file = "/ca"',
        "insecure = true",
    ],
)
def test_the_metrics_are_open_to_others_with_protection_or_if_told_so(lines: str) -> None:
    assert problems(f'[metrics]\naddress = "0.0.0.0"\n{lines}') == {}


def test_a_faulty_item_of_a_list_does_not_hide_another() -> None:
    assert set(problems('[tools]\nenabled = ["a", "get_time", 5]')) == {
        "tools.enabled[0]",
        "tools.enabled[2]",
    }


def test_a_long_value_is_shortened() -> None:
    assert len(problems(f'[log]\nlevel = "{"ab " * 500}"')["log.level"]) < 200


# ------------------------------------------------------------------- lists of tables, free tables

LAMP = '[[tools.command]]\nname = "lamp"\ndescription = "A lamp."\nargv = ["/bin/true"]\n'


def test_tables_of_a_list_arrive_in_order_with_their_defaults() -> None:
    read, wrong = config.parse(LAMP + "timeout_s = 3\n" + LAMP.replace("lamp", "light"))
    assert wrong == []
    assert [(tool.name, tool.timeout_s) for tool in read.tools.command] == [("lamp", 3.0), ("light", 10.0)]


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (LAMP + LAMP.replace("lamp", "l2") + "timeout_s = 0", "tools.command[1].timeout_s", "from 0.5 to"),
        (LAMP + "timout_s = 1", "tools.command[0].timout_s", 'did you mean "timeout_s"?'),
        (LAMP.replace('name = "lamp"\n', ""), "tools.command[0].name", 'is missing; add name = "lamp"'),
        (LAMP.replace('"lamp"', '"my lamp"'), "tools.command[0].name", "1 to 64 letters, digits, hyphens"),
        (LAMP.replace('["/bin/true"]', "[]"), "tools.command[0].argv", "is an empty list; set it to a list"),
        (LAMP.replace('["/bin/true"]', '["/bin/true", 5]'), "tools.command[0].argv[1]", "is 5; set it"),
        ("[tools.command]\nname = 5", "tools.command", "is a table; make it a list of tables: [[tools.comm"),
        ("[tools]\ncommand = [5]", "tools.command", "is a list; make it a list of tables"),
        ("[tools]\nprovider = [5]", "tools.provider", "is a list; make it a list of tables"),
        ("max_kb = 5", "max_kb", "did you mean tools.http[].max_kb or tools.command[].max_kb?"),
        (LAMP + "environment = {A = 5}", "tools.command[0].environment.A", "is 5; set it to text"),
        (LAMP + "environment = 5", "tools.command[0].environment", 'is 5; set it to a table, {NAME = "..."}'),
        (LAMP + "parameters = {x = [2026-11-22]}", "tools.command[0].parameters.x[0]", "is a date"),
        (LAMP + "parameters = {x = inf}", "tools.command[0].parameters.x", "write a number that is finite"),
        ('[[tools.provider]]\ntype = "x"\nx = 10:00:00', "tools.provider[0].x", "is a time"),
    ],
)  # fmt: skip
def test_a_fault_inside_a_list_of_tables_is_named_by_its_number(text: str, path: str, told: str) -> None:
    found = problems(text)
    assert list(found) == [path]
    assert told in found[path]


def test_a_faulty_table_of_a_list_does_not_change_the_numbers_of_the_others() -> None:
    read, wrong = config.parse(LAMP.replace('"lamp"', "5") + LAMP)
    assert [problem.path for problem in wrong] == ["tools.command[0].name"]
    assert [tool.name for tool in read.tools.command] == ["", "lamp"]


def test_a_secret_of_a_tool_is_refused_by_its_place_and_a_schema_may_describe_a_key() -> None:
    text = LAMP + LAMP.replace("lamp", "piano") + 'environment = {API_KEY = "hunter2"}\n'
    found = problems(text + "[tools.command.parameters.properties]\nkey = {type = 'string'}")
    assert list(found) == ["tools.command[1].environment.API_KEY"]
    assert "name it with key_from" in found["tools.command[1].environment.API_KEY"]


# ------------------------------------------------------------------------------- all at once, files


def test_all_problems_are_reported_at_once() -> None:
    text = """
        unknown = 1
        [provider]
        kind = "azure"
        [session]
        speed = "fast"
        [audio.output]
        block_ms = 0
    """
    assert list(problems(text)) == [
        "unknown",
        "session.speed",
        "audio.output.block_ms",
        "provider.resource",
        "provider.deployment",
    ]


def test_a_setting_that_is_faulty_already_is_not_called_missing_too() -> None:
    found = config.parse('[provider]\nkind = "yandex"\nfolder = 5')[1]
    assert [problem.path for problem in found] == ["provider.folder"]


def test_an_unknown_kind_does_not_make_its_settings_wrong() -> None:
    assert list(problems('[provider]\nkind = "yandx"\nfolder = "b1g"')) == ["provider.kind"]


def test_a_syntax_error_is_told_with_its_place() -> None:
    assert "line 2, column 9" in problems("[session]\nvoice = dasha")["file"]


def test_load_raises_one_error_with_every_problem_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("x = 1\ny = 2\n")
    with pytest.raises(InvalidConfig) as caught:
        config.load(file)
    assert [problem.path for problem in caught.value.problems] == ["x", "y"]
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_another_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        config.load(tmp_path / name)


def test_a_file_in_another_encoding_is_a_problem_and_a_byte_order_mark_is_none(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes('[session]\ninstructions = "Привет"'.encode("cp1251"))
    with pytest.raises(InvalidConfig, match="not UTF-8 at byte 26"):
        config.load(file)
    file.write_bytes('[session]\ninstructions = "Привет"'.encode("utf-8-sig"))
    assert config.load(file).session.instructions == "Привет"


@pytest.mark.parametrize("text", ["x = " + "{a = " * 900 + "1" + "}" * 900, "a" + ".a" * 2000 + " = 1"])
def test_tables_without_end_are_a_problem(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(InvalidConfig, match="tables in tables without end"):
        config.load(file)


def test_a_number_of_thousands_of_digits_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("x = " + "9" * 5000)
    with pytest.raises(InvalidConfig, match="is not TOML"):
        config.load(file)


def test_a_file_that_is_no_configuration_for_its_size_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("#" * MAX_BYTES)
    config.load(file)
    file.write_text("#" * MAX_BYTES + "#")
    with pytest.raises(InvalidConfig, match="is larger than 1024 KiB"):
        config.load(file)
    with pytest.raises(InvalidConfig, match="is larger"):
        config.load(Path("/dev/zero"))


# -------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "hunter2"',
        'API-KEY = "hunter2"',
        'yandex_token = "hunter2"',
        'password = "hunter2"',
        'Authorization = "hunter2"',
        f'model = "{KEY}"',
        f'nonsense = "{KEY}"',
        'voice = "sk-proj-a1b2c3d4e5f6"',
        'voice = "t1.9euelZqMkJKXlYqd"',
        'voice = "y0_AgAAAAAbcdefghijkl"',
        'voice = "AIzaSyA1234567890abcdefghijkl"',
        'voice = "0123456789abcdef0123456789ABCDEF"',
        'auth_scheme = "Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOi"',
        f'voices = ["a", "{KEY}"]',
        f'nested = {{ deep = [{{ x = "{KEY}" }}] }}',
    ],
)
def test_a_secret_is_refused_with_the_three_ways_and_never_repeated(line: str) -> None:
    found = problems(f"[provider]\n{line}")
    told = "\n".join(found.values())
    assert told.count("holds a secret") == 1
    assert all(way in told for way in ("systemd credential", "provider.key_file", "VOICE_AGENT_API_KEY"))
    value = line.partition("= ")[2].strip('"')
    assert value not in str(found)
    assert KEY not in str(found)


@pytest.mark.parametrize(
    "url",
    [
        "wss://host.example/v1?api_key=abc",
        "wss://host.example/v1?token=abc",
        "wss://me:hunter2@host.example/v1",
    ],
)
def test_a_secret_inside_an_address_is_refused(url: str) -> None:
    found = problems(custom(url))
    assert "holds a secret" in found["provider.url"]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        custom("wss://h.example/", 'auth_header = "Authorization"\nauth_scheme = "Bearer"'),
        '[provider]\nkey_file = "/run/secrets/voice-agent-api-key"',
        '[session]\ninstructions = "Basic characteristics: kind. The bearer responsibilities are yours."',
        '[tools.file_search]\nvector_store_id = "fvt0a1b2c3d4e5f6g7h8"\n' + YANDEX,
    ],
)
def test_ordinary_settings_are_not_taken_for_secrets(text: str) -> None:
    assert config.parse(text)[1] == []


# ------------------------------------------------------------------------- settings that must fit


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ('[provider]\nkind = "yandex"', "provider.folder", "is missing"),
        ('[provider]\nkind = "custom"', "provider.url", "is missing"),
        ('[provider]\nkind = "openai"\nfolder = "b1g"', "provider.folder", 'set kind to "yandex"'),
        ('[provider]\nkind = "openai"\nauth = "bearer"', "provider.auth", "means nothing to kind"),
        (
            '[provider]\nkind = "openai"\n[session]\ninput_rate = 16000',
            "session.input_rate",
            "set it to 24000",
        ),
        ('[provider]\nkind = "openai"\n[session]\nspeed = 2', "session.speed", "0.25 ... 1.5"),
        (
            '[provider]\nkind = "openai"\n[tools.web_search]\nenabled = true',
            "tools.web_search.enabled",
            "Yandex's",
        ),
        ('[session]\nrole = "good"', "session.role", "Yandex's"),
        ('[provider]\nkey_file = "key.txt"', "provider.key_file", "begin it with /"),
        (YANDEX + 'resource = "a/b"', "provider.resource", "one word"),
    ],
)
def test_settings_that_do_not_fit_the_provider_are_named(text: str, path: str, told: str) -> None:
    found = problems(text)
    assert list(found) == [path]
    assert told in found[path]


@pytest.mark.parametrize(
    "text",
    [
        YANDEX + '[session]\nrole = "good"\noutput_rate = 16000\n[tools.web_search]\nenabled = true',
        '[provider]\nkind = "yandex"\nurl = "wss://ai.api.cloud.yandex.net/v1/realtime?model=gpt://f/m"',
        '[provider]\nkind = "azure"\nresource = "my-lab"\ndeployment = "voice.1"\nauth = "bearer"',
        '[provider]\nkind = "openai"\n[session]\ninput_rate = 24000\nspeed = 1.5',
        custom("wss://host.example/", 'dialect = "yandex"\n[session]\nrole = "good"'),
        custom("ws://127.0.0.1:8765/v1/realtime"),
        custom("ws://[::1]:8765/"),
        custom("ws://localhost/"),
        custom("ws://pi.lan/", "insecure = true"),
        custom(
            "wss://host.example/?model=x&intent=conversation", 'auth_header = "api-key"\nauth_scheme = ""'
        ),
    ],
)
def test_sound_configurations_are_accepted(text: str) -> None:
    assert config.parse(text)[1] == []


@pytest.mark.parametrize("host", ["pi.lan", "192.168.1.7", "localhost.example"])
def test_speech_in_the_clear_beyond_this_machine_must_be_allowed(host: str) -> None:
    told = problems(custom(f"ws://{host}/"))["provider.url"]
    assert told == (
        f"would send key and speech to {host} in the clear; use wss://, or set provider.insecure = true"
    )


@pytest.mark.parametrize(
    "url", ["https://x/", "wss://", "host/path", "wss://h:99999/", "wss://a b/", "ws://[::1"]
)
def test_what_is_no_websocket_address_is_refused(url: str) -> None:
    assert "write wss://host/path" in problems(custom(url))["provider.url"]


def test_the_dead_yandex_host_is_named_with_its_successor() -> None:
    dead = 'url = "wss://rest-assistant.api.cloud.yandex.net/v1/realtime/openai?model=gpt://f/m"'
    assert "use ai.api.cloud.yandex.net" in problems(YANDEX + dead)["provider.url"]


def test_a_problem_reads_as_path_problem_remedy() -> None:
    assert str(Problem("log.level", "is 3", "set it to info")) == "log.level: is 3; set it to info"
