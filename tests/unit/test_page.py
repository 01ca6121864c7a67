"""The status page as a file: what it may do, what it reads of the report, and what it says in Russian."""

import re
import subprocess
import sys
import zipfile
from base64 import b64encode
from collections.abc import Iterable
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from voice_agent.audio.echo.guard import Mode as EchoMode
from voice_agent.audio.states import Condition
from voice_agent.audio.valve import Mode
from voice_agent.dialogue import State
from voice_agent.telemetry import report
from voice_agent.telemetry.page import FILE, status_page
from voice_agent.telemetry.snapshot import STATES

PAGE = FILE.read_text()
ROOT = Path(__file__).parents[2]


def inside(element: str) -> str:
    """The contents of the only such element."""
    (found,) = re.findall(rf"<{element}>(.*?)</{element}>", PAGE, re.DOTALL)
    return str(found)


SCRIPT, STYLE = inside("script"), inside("style")

NAMES: dict[str, type[msgspec.Struct]] = {
    "report": report.Report,
    "problem": report.Problem,
    "link": report.Link,
    "end": report.End,
    "set": report.Settings,
    "talk": report.Conversation,
    "turn": report.Turn,
    "day": report.Allowance,
    "server": report.ToolServer,
    "fault": report.Fault,
    "component": report.Component,
}
"""What the script's variables hold."""

READ = re.findall(rf"(?<![\w.'])({'|'.join(NAMES)})((?:\.\w+)+)", SCRIPT)
OF_THE_LANGUAGE = {"length", "map", "filter"}


def policy() -> dict[str, str]:
    rules = status_page().fields["Content-Security-Policy"].split("; ")
    return dict(rule.split(" ", 1) for rule in rules)


# ------------------------------------------------------------------------------------ what it may do


@pytest.mark.parametrize(("rule", "element"), [("script-src", SCRIPT), ("style-src", STYLE)])
def test_a_browser_runs_what_is_in_the_file_and_nothing_else(rule: str, element: str) -> None:
    assert policy()[rule] == f"'sha256-{b64encode(sha256(element.encode()).digest()).decode()}'"


def test_whatever_is_not_allowed_by_name_is_forbidden() -> None:
    rules = policy()
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("connect-src") == "'self'"
    assert rules.pop("img-src") == "data:"
    assert all(rules[each] == "'none'" for each in ("base-uri", "form-action", "frame-ancestors"))
    assert not re.search(r"unsafe|https?:|\*", " ".join(rules.values()))


def test_it_is_one_small_file_that_asks_nobody_else_for_anything() -> None:
    assert len(PAGE.encode()) < 30_000
    addresses = set(re.findall(r"\w+://[^\s'\"]+", PAGE))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of a language, which nobody asks for"
    assert not re.search(r"@import|url\(|<(img|iframe|form|input|button|object|embed|base)\b", PAGE)
    assert set(re.findall(r"<script[^>]*>|<style[^>]*>", PAGE)) == {"<script>", "<style>"}
    assert not re.search(r"\s(on\w+|style)=", PAGE), "a policy by hashes forbids them"
    assert re.findall(r"(?:fetch|EventSource)\((.*?)[,)]", SCRIPT) == ["beside('events'", "beside('status'"]


def test_no_text_of_a_report_can_become_markup() -> None:
    banned = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|setTimeout|srcdoc|\bhref\b"
    assert not re.search(banned, SCRIPT)


def test_what_the_server_sends_is_the_file() -> None:
    page = status_page()
    assert (page.status, page.kind, page.body.decode()) == (200, "text/html; charset=utf-8", PAGE)


# ------------------------------------------------------------------------------------ what it reads


def fields(shape: type[msgspec.Struct]) -> dict[str, object]:
    return get_type_hints(shape)


def struct(kind: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds, if it holds one."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) in {Union, UnionType}:
        (kind,) = [each for each in get_args(kind) if each is not NoneType]
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


@pytest.mark.parametrize(("name", "path"), sorted(set(READ)))
def test_every_field_that_it_reads_is_in_the_report(name: str, path: str) -> None:
    shape: type[msgspec.Struct] | None = NAMES[name]
    for field in path.strip(".").split("."):
        if shape is None:
            assert field in OF_THE_LANGUAGE, f"{name}{path}: there is nothing below a figure"
            continue
        assert field in fields(shape), f"{name}{path}"
        shape = struct(fields(shape)[field])


def test_every_variable_that_holds_a_part_of_the_report_is_known_here() -> None:
    read = {name for name, _ in READ}
    assert read == set(NAMES), "a variable was renamed, and nothing checks what it reads"
    figures = re.findall(r"\b(\w+)\.\w+_(?:s|db|hz|helps|limit|ago_s|disconnect)\b", SCRIPT)
    assert set(figures) <= set(NAMES)


# ------------------------------------------------------------------------------------- what it says

RUSSIAN = dict(re.findall(r"'((?:[^'])+)': '([^']+)'", SCRIPT.split("const RU = {")[1].split("};")[0]))


def test_every_label_of_the_page_has_its_russian() -> None:
    labels = set(re.findall(r"<\w+[^>]* data-t>([^<]+)<", PAGE))
    labels |= set(re.findall(r'aria-label="([^"]+)" data-t="label"', PAGE))
    labels |= set(re.findall(r"\bt\('([^']+)'\)", SCRIPT))
    labels |= set(re.findall(r"t\([^()]*\? '([^']+)' : '[^']+'\)", SCRIPT))
    for line in re.findall(r"^const (?:DOING|WITHOUT|PARTS) = \{(.*)\}", SCRIPT, re.MULTILINE):
        labels |= set(re.findall(r": '([^']+)'", line))
    assert len(labels) > 50
    assert labels - {"of"} <= set(RUSSIAN)


@pytest.mark.parametrize("words", [Mode, EchoMode, Condition])
def test_what_the_daemon_calls_things_has_its_russian(words: Iterable[Enum]) -> None:
    never_shown = {"auto", "open"}  # a guard is never ``auto``, and an open device shows its level
    assert {each.value for each in words} - never_shown <= set(RUSSIAN)


def test_whatever_the_daemon_does_has_a_headline() -> None:
    doing = re.findall(r"(\w+): '", re.findall(r"const DOING = \{(.*)\}", SCRIPT)[0])
    without = re.findall(r"(\w+): '", re.findall(r"const WITHOUT = \{(.*)\}", SCRIPT)[0])
    assert set(doing) == {each.value for each in State}
    assert {*without, "live", "parked"} == set(STATES)


@pytest.mark.slow
def test_the_page_is_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert packed.read("voice_agent/telemetry/page/page.html") == FILE.read_bytes()
