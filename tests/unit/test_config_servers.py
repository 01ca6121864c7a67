"""``[[tools.mcp]]``: what is sound, what is not, and what becomes of it."""

import pytest

from voice_agent import config
from voice_agent.dialogue import Reply
from voice_agent.tools.mcp.doubts import doubts
from voice_agent.tools.mcp.settings import Program, ServerSettings, Site, no_key, settings_of

PROGRAM = '[[tools.mcp]]\nname = "files"\nargv = ["/usr/bin/files"]\n'
SITE = '[[tools.mcp]]\nname = "home"\nurl = "{url}"\n'


def problems(text: str) -> list[str]:
    return [str(problem) for problem in config.parse(text)[1]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[tools.mcp]]\nname = "x"\n', "tools.mcp[0]: has neither argv nor url; a program has argv"),
        (PROGRAM + 'url = "https://host/mcp"\n', "tools.mcp[0]: has both argv and url"),
        (PROGRAM + PROGRAM, 'tools.mcp[1].name: "files" is taken; give each server a name of its own'),
        (PROGRAM.replace("/usr/bin/files", "files"), "tools.mcp[0].argv[0]: is not an absolute path"),
        (PROGRAM + 'directory = "here"\n', "tools.mcp[0].directory: is not an absolute path"),
        (PROGRAM.replace('"files"', '"my files"'), "tools.mcp[0].name: "),
        (SITE.format(url="host/mcp"), "tools.mcp[0].url: is not a web address; write https://host/path"),
        (SITE.format(url="https://a b/"), "tools.mcp[0].url: is not a web address"),
        (SITE.format(url="http://example.org/mcp"), "in the clear; use https://, or set insecure = true"),
        (SITE.format(url="https://u:pw@example.org/"), "holds a secret"),
        (SITE.format(url="https://hunter2@example.org/"), "holds a secret"),
        (PROGRAM.replace('files"]', 'files", "--api-token=hunter2"]'), "tools.mcp[0].argv: holds a secret"),
        (SITE.format(url="https://example.org/?api_key=x"), "holds a secret"),
        (
            SITE.format(url="https://example.org/") + 'headers = {X = "a\\r\\nY: b"}\n',
            "headers.X: is no header",
        ),
        (PROGRAM + 'environment = {"A=B" = "c"}\n', "tools.mcp[0].environment.A=B: is no variable"),
        (PROGRAM + 'environment = {A = "\\u0000"}\n', "tools.mcp[0].environment.A: is no variable"),
        (PROGRAM.replace('files"]', 'files", "\\u0000"]'), "tools.mcp[0].argv[1]: holds a NUL"),
        (PROGRAM + "timeout_s = 0\n", "tools.mcp[0].timeout_s: is 0; set it to a number from 0.5 to 600"),
    ],
)
def test_a_problem_of_a_server_is_told_with_its_remedy(text: str, told: str) -> None:
    (problem,) = problems(text)
    assert told in problem


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/mcp", "http://hub.local/mcp", "https://example.org/mcp"]
)
def test_an_address_of_this_place_may_go_without_tls(url: str) -> None:
    assert problems(SITE.format(url=url)) == []


def test_a_public_address_without_tls_must_be_wanted() -> None:
    assert problems(SITE.format(url="http://example.org/mcp") + "insecure = true\n") == []


def settings(text: str) -> ServerSettings:
    read, wrong = config.parse(text)
    assert wrong == []
    return settings_of(read.tools.mcp[0])


def test_a_program_arrives_with_all_that_was_said_about_it() -> None:
    found = settings(
        PROGRAM + 'directory = "/srv"\nenvironment = { ROOM = "hall" }\nkey_variable = "TOKEN"\n'
        'allow = ["read_*"]\ntimeout_s = 5\nstart_timeout_s = 60\nspeak = "if-silent"\ninterruptible = true\n'
    )
    assert found == ServerSettings(
        "files",
        Program(("/usr/bin/files",), "/srv", {"ROOM": "hall"}, "TOKEN"),
        no_key,
        ("read_*",),
        timeout_s=5,
        start_timeout_s=60,
        interruptible=True,
        reply=Reply.IF_SILENT,
    )


def test_the_key_of_a_site_is_looked_for_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        SITE.format(url="https://example.org/mcp")
        + 'key_from = "hub"\nkey_header = "X-Key"\nkey_scheme = ""\n'
    )
    assert found.place == Site("https://example.org/mcp", {}, "X-Key", "")
    monkeypatch.setenv("VOICE_AGENT_CREDENTIAL_HUB", "later")
    key = found.key()
    assert key is not None
    assert key.reveal() == "later"


def test_what_this_machine_lacks_for_a_program_is_a_doubt() -> None:
    read, _ = config.parse(
        PROGRAM.replace("/usr/bin/files", "/nonexistent/files") + 'directory = "/nowhere"\n'
    )
    told = [doubt for doubt in doubts(read.tools.mcp) if doubt.startswith("MCP server files: ")]
    assert "/nonexistent/files is no program that can be run here" in told[0]
    assert "its directory /nowhere does not exist here" in told[1]
