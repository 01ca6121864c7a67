"""Plug-ins: what other packages offer is found, and what they do wrong stays theirs."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voice_agent.tools.base import Toolbox
from voice_agent.tools.plugins import ALL, GROUP, Context, PlugIn, furnish, load

GOOD = """
from voice_agent.tools import Tool, ToolError, Manners, Reply, Arguments

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

async def double(arguments):
    return {"n": arguments["n"] * 2}

one = Tool("double", "twice a number", SCHEMA, double)
several = [one, Tool("halve", "half a number", SCHEMA, lambda given: {"n": given["n"] / 2})]

def made(context):
    return (Tool(f"say_in_{language}", str(context.state), SCHEMA, double) for language in [context.language])
"""


def package(site: Path, name: str, code: str, **points: str) -> None:
    """An installed package, as the interpreter sees it."""
    module = name.lower().replace("-", "_").replace(".", "_")
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {module}:{attribute}\n" for point, attribute in points.items()]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(lines))


def loaded(*allowed: str, context: Context | None = None, limit_s: float = 10.0) -> dict[str, PlugIn]:
    async def scene() -> dict[str, PlugIn]:
        found = load(allowed, context or Context(), limit_s=limit_s)
        return {plugin.name: plugin async for plugin in found}

    return asyncio.run(scene())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for packages; what a test imports from it is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_an_entry_point_is_a_tool_or_several_or_makes_them(site: Path) -> None:
    package(site, "good", GOOD, a="one", b="several", c="made")
    found = loaded(ALL, context=Context("ru", Path("/state")))
    names = {name: [tool.name for tool in plugin.tools] for name, plugin in found.items()}
    assert names == {"a": ["double"], "b": ["double", "halve"], "c": ["say_in_ru"]}
    assert found["c"].tools[0].description == "/state/plugins/good"
    assert not any(plugin.fault for plugin in found.values())


def test_tools_of_plug_ins_work_like_all_others(site: Path) -> None:
    package(site, "good", GOOD, b="several")
    box = Toolbox()
    for plugin in loaded(ALL).values():
        box.put(plugin.source, plugin.tools, trusted=True)
    assert [each.source for each in box.offered()] == ["plug-in b (good)"] * 2
    assert asyncio.run(box.run("double", '{"n": 4}')) == ('{"n":8}', "ok")
    assert asyncio.run(box.run("halve", '{"n": 4}')) == ('{"n":2.0}', "ok")
    assert asyncio.run(box.run("halve", "{}")) == ('{"error":"n: is missing"}', "invalid")


def test_only_packages_that_are_allowed_are_imported(site: Path) -> None:
    package(site, "good", GOOD, a="one")
    package(site, "Other_Package", GOOD, b="one")
    assert set(loaded(ALL)) == {"a", "b"}
    sys.modules.pop("good"), sys.modules.pop("other_package")
    assert set(loaded("other.package")) == {"b"}
    assert "good" not in sys.modules
    assert loaded() == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = (", "SyntaxError"),
        ("", "AttributeError"),
        ("it = 3", "is int, and neither a Tool nor several"),
        ("it = [3]", "offers int, which is no Tool"),
        ("def it(): pass", "TypeError"),
        ("def it(context): return None", "is NoneType"),
        ("def it(context):\n yield from ()\n raise KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "it = Tool('a', 'b', {'type': 'objet'}, print)",
            "parameters of the tool 'a': type: is not \"object\"",
        ),
        ("it = Tool('a', 'b', {'type': 'object', 'properties': 3}, print)", "properties: 3 is not of type"),
        ("it = Tool('a', 'b', 7, print)", "is no JSON"),
        ("it = Tool('a', None, {'type': 'object'}, print)", "no text"),
        ("it = Tool('a', 'b', {'type': 'object'}, None)", "cannot be called"),
        ("it = Tool('a', 'b', {'type': 'object'}, print, Manners(timeout_s=0))", "timeout_s above 0"),
        ("it = Tool('a', 'b', {'type': 'object'}, print, 7)", "timeout_s above 0"),
    ],
)
def test_a_broken_plug_in_is_left_out_with_whose_it_is_and_what_to_do(
    site: Path, code: str, words: str
) -> None:
    package(site, "broken", f"from voice_agent.tools import Manners, Tool\n{code}\n", bad="it")
    package(site, "good", GOOD, a="one")
    found = loaded(ALL)
    assert found["bad"].tools == ()
    assert words in found["bad"].fault
    assert "mend or uninstall the package broken" in found["bad"].fault
    assert len(found["a"].tools) == 1, "it is not the others' fault"


def test_a_package_that_is_wanted_and_not_installed_is_said_so(site: Path) -> None:
    package(site, "Kitchen-Tools", GOOD, one="one")
    found = loaded("kitchen.tools", "kichen-tools")
    assert set(found) == {"one", "any"}
    assert found["any"].package == "kichen-tools"
    assert "is not installed" in found["any"].fault


def test_a_plug_in_that_never_finishes_loading_is_left_out(site: Path) -> None:
    package(site, "slow", "import threading; threading.Event().wait()", it="x")
    assert "did not load within 0.05 s" in loaded("slow", limit_s=0.05)["it"].fault


def test_packages_that_cannot_even_be_listed_are_said_so(site: Path) -> None:
    package(site, "good", GOOD, a="one")
    (site / "good-1.0.dist-info" / "entry_points.txt").write_bytes(b"[voice_agent.tools]\n\xff")
    assert "UnicodeDecodeError" in loaded(ALL)["any"].fault


def test_the_log_says_which_plug_in_is_missing_and_why(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    package(site, "broken", "raise ValueError('no fridge')", bad="it")
    package(site, "good", GOOD, a="one")
    box = Toolbox()
    caplog.set_level("INFO", "voice_agent")
    asyncio.run(furnish(box, (ALL,), Context()))
    assert list(box) == ["double"]
    left_out, there = (vars(record) for record in caplog.records)
    assert (left_out["package"], left_out["plugin"], left_out["levelname"]) == ("broken", "bad", "ERROR")
    assert "no fridge" in left_out["reason"]
    assert (there["package"], there["tools"]) == ("good", 1)


def test_without_plug_ins_nothing_is_loaded() -> None:
    program = "import asyncio, sys, voice_agent.agent"
    program += "\nfrom voice_agent.tools.plugins import ALL, Context, furnish"
    program += "\nfrom voice_agent.tools.base import Toolbox"
    program += "\nasyncio.run(furnish(Toolbox(), (ALL,), Context()))"
    program += "\nprint('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
