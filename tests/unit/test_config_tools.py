"""Tools by configuration: what an operator is told about a declaration before anybody calls it."""

import os
from pathlib import Path

import pytest

from voice_agent import config
from voice_agent.config import CommandTool, HttpTool
from voice_agent.credentials import Secret
from voice_agent.errors import ConfigError
from voice_agent.tools.doubts import schema_problems, tool_doubts

ROOM = """parameters.required = ["room"]
parameters.properties = {room = {type = "string"}, floor = {type = "integer"}}
"""


def http(*lines: str, url: str = "https://home.example.org/{room}", parameters: str = ROOM) -> str:
    more = "\n".join(lines)
    return f'[[tools.http]]\nname = "probe"\ndescription = "A probe."\nurl = "{url}"\n{parameters}{more}\n'


def bare(parameters: str) -> str:
    """A tool whose url has no placeholder."""
    return http(url="https://h.example/", parameters=parameters)


def command(*lines: str, argv: str = '["/bin/echo", "{room}"]', parameters: str = ROOM) -> str:
    more = "\n".join(lines)
    return f'[[tools.command]]\nname = "lamp"\ndescription = "A lamp."\nargv = {argv}\n{parameters}{more}\n'


def provider(*lines: str) -> str:
    return "\n".join(["[[tools.provider]]", *lines])


def problems(text: str) -> dict[str, str]:
    return {problem.path: f"{problem.what}; {problem.remedy}" for problem in config.parse(text)[1]}


@pytest.mark.parametrize(
    "text",
    [
        http(),
        http("query = {floor = '{floor}'}", url="https://home.example.org/{room}?f={floor}"),
        http('method = "POST"', url="https://home.example.org/", parameters=ROOM),
        http('method = "POST"', "body = {r = ['{room}']}", url="https://home.example.org/"),
        http(url="http://192.168.1.7:8123/{room}"),
        http(url="http://homeassistant.local/{room}"),
        http(url="http://home.example.org/{room}") + "insecure = true",
        http('answer = "state.rooms[0].name"', 'allow_hosts = ["www.example.org", "::1"]'),
        http('key_from = "home-token"', 'key_header = "X-Api-Key"', 'key_scheme = ""'),
        command(),
        command('stdin = "json"', argv='["/bin/cat"]'),
        command(argv='["/bin/x", "--token={room}", "--token=/run/token", "--key=n", "--token-file=t"]'),
        command(argv='["/bin/sh", "-c", "echo $1", "sh", "{room}"]'),
        http() + command().replace("lamp", "lamp2") + command("enabled = false").replace("lamp", "probe"),
        '[tools]\nenabled = ["get_time"]\n' + command().replace('"lamp"', '"get_weather"'),
        provider('type = "mcp"', 'require_approval = "never"', 'key_from = "docs"'),
        provider('type = "mcp"', 'require_approval = {never = {tool_names = ["a"]}}'),
        provider('type = "web_search"'),
    ],
)
def test_sound_declarations_are_accepted(text: str) -> None:
    assert config.parse(text)[1] == []


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (http() + command().replace('"lamp"', '"probe"'), "command[0].name", '"probe" is the name'),
        (command().replace("lamp", "get_time"), "command[0].name", "from tools.enabled to replace"),
        (command().replace("lamp", "web_search"), "command[0].name", "give each tool a name of its own"),
        (http(url="home.example.org/{room}"), "http[0].url", "write https://host/path"),
        (http(url="https://{room}.example.org/"), "http[0].url", "leaves its host to an argument"),
        (http(url="https://h.example/{room}?{room}=1"), "http[0].url", "has an argument where none"),
        (http(url="https://h.example/{room}#{room}"), "http[0].url", "has an argument where none"),
        (http(url="https://me:hunter2@h.example/{room}"), "http[0].url", "holds a secret"),
        (http(url="https://h.example/{room}?token=abc"), "http[0].url", "holds a secret"),
        (http(url="https://h.example/../{room}"), "http[0].url", "has . or .. in its path"),
        (http(url="https://h.example/{room}/{rom}"), "http[0].url", "uses {rom}, which no parameter is"),
        (http(url="https://h.example/{room}/{floor}"), "http[0].url", "add floor to required"),
        (http(url="http://h.example/{room}"), "http[0].url", "would ask h.example in the clear"),
        (http(url="https://h.example/"), "http[0].parameters", "demands room, which is used nowhere"),
        (http("query = {f = '{flor}'}"), "http[0].query", "uses {flor}, which no parameter is"),
        (http("body = {a = 1}"), "http[0].body", "is not sent with GET"),
        (http('headers = {"X Y" = "a"}'), "http[0].headers.X Y", "is no header"),
        (http('headers = {X = "a\\r\\nY: b"}'), "http[0].headers.X", "is no header"),
        (http('headers = {Authorization = "hunter2"}'), "http[0].headers.Authorization", "key_from"),
        (http('allow_hosts = ["https://x.example/"]'), "http[0].allow_hosts[0]", "is no host"),
        (http('answer = "a..b"'), "http[0].answer", "is no path"),
        (bare('parameters = {type = "string"}\n'), "http[0].parameters.type", "object"),
        (bare("parameters = {properties = 5}\n"), "http[0].parameters.properties", "no table"),
        (bare('parameters = {required = ["x"]}\n'), "http[0].parameters.required", 'names "x"'),
        (command(argv='["lamp", "{room}"]'), "command[0].argv[0]", "absolute path"),
        (command(argv='["/bin/{room}"]'), "command[0].argv[0]", "absolute path"),
        (command(argv='["/bin/echo", "{rom}", "{room}"]'), "command[0].argv", "uses {rom}"),
        (command(argv='["/bin/echo"]'), "command[0].parameters", "demands room"),
        (command(argv='["/bin/bash", "-c", "echo {room}"]'), "command[0].argv[2]", "as a program"),
        (command(argv='["/bin/sh", "-ec", "echo {room}"]'), "command[0].argv[2]", "as a program"),
        (command(argv='["/usr/bin/env", "sh", "-c", "echo {room}"]'), "command[0].argv[3]", "as a program"),
        (command(argv='["/usr/bin/python3.11", "-c", "{room}"]'), "command[0].argv[2]", "as a program"),
        (command('directory = "x"'), "command[0].directory", "begin it with /"),
        (command('environment = {"A=B" = "c"}'), "command[0].environment.A=B", "is no variable"),
        (provider('type = "mcp"'), "provider[0].require_approval", "nobody can"),
        (provider('server_label = "x"'), "provider[0].type", "is missing"),
        (provider('type = "x"', "key_from = 5"), "provider[0].key_from", "no name of a credential"),
        (provider('type = "x"', 'authorization = "hunter2"'), "provider[0].authorization", "holds a secret"),
    ],
)  # fmt: skip
def test_a_faulty_declaration_is_named_with_its_remedy(text: str, path: str, told: str) -> None:
    found = problems(text)
    assert list(found) == [f"tools.{path}"]
    assert told in found[f"tools.{path}"]
    assert "hunter2" not in str(found)


def test_a_tool_with_a_faulty_setting_is_not_blamed_for_what_follows_from_it() -> None:
    assert list(problems(http("parameters.x = inf"))) == ["tools.http[0].parameters.x"]


def test_schemas_are_looked_at_in_full() -> None:
    tool = HttpTool(name="x", parameters={"properties": {"a": {"type": "strin"}}})
    found = list(schema_problems([HttpTool(), tool], [CommandTool(parameters={"$ref": "http://x.example/"})]))
    assert [problem.path for problem in found] == ["tools.http[1].parameters", "tools.command[0].parameters"]
    assert "strin" in found[0].what


def missing(name: str) -> Secret:
    raise ConfigError(f"credential {name}", "there is none")


def test_what_this_machine_lacks_is_a_doubt_and_no_problem(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    commands = [
        CommandTool(name="gone", argv=("/nonexistent/lamp",)),
        CommandTool(name="plain", argv=(str(plain),), directory="/nonexistent", key_from="b"),
        CommandTool(name="who", argv=("/bin/sh",), user="nobody-at-all"),
        CommandTool(name="off", argv=("/nonexistent/x",), enabled=False, key_from="off"),
        CommandTool(name="fine", argv=("/bin/sh",)),
    ]
    found = list(tool_doubts([HttpTool(name="h", key_from="a")], commands, [{"key_from": "c"}, {}], missing))
    assert found == [
        "tool gone: /nonexistent/lamp does not exist here",
        f"tool plain: {plain} cannot be executed; chmod a+x it",
        "tool plain: its directory /nonexistent does not exist here",
        "tool who: there is no user nobody-at-all here",
        "credential a: there is none",
        "credential b: there is none",
        "credential c: there is none",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_a_user_that_the_daemon_may_not_become_is_a_doubt() -> None:
    found = list(tool_doubts([], [CommandTool(name="who", argv=("/bin/sh",), user="root")]))
    assert found == ["tool who: user root needs a daemon that is root, or has CAP_SETUID and CAP_SETGID"]
