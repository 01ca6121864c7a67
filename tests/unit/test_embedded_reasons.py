"""Whatever one of the built-in tools complains of, the embedded mind can say it in Russian, too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import voice_agent
from voice_agent.embedded.policy.russian_phrases import PHRASES

PACKAGE = Path(voice_agent.__file__).parent
TOOLS = [
    *(PACKAGE / "alarms").glob("*.py"),
    *(PACKAGE / "tools/weather").glob("*.py"),
    *(PACKAGE / f"tools/{name}.py" for name in ("clock", "device", "timers", "volume")),
    PACKAGE / "handle.py",
]


def complaints() -> Iterator[str]:
    """The texts of all ``ToolError`` that stand in the source."""
    for file in TOOLS:
        tree = ast.parse(file.read_text())
        named = {
            target.id: each.value
            for each in ast.walk(tree)
            if isinstance(each, ast.Assign)
            for target in each.targets
            if isinstance(target, ast.Name)
        }
        for each in ast.walk(tree):
            match each:
                case ast.Call(func=ast.Name(id="ToolError"), args=[ast.Name(id=name)]) if name in named:
                    yield text(named[name])
                case ast.Call(func=ast.Name(id="ToolError"), args=[ast.Constant() | ast.JoinedStr() as said]):
                    yield text(said)


def text(said: ast.expr) -> str:
    """As it would be said of something called x, or of 7 of them."""
    match said:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(text(part) for part in parts)
        case ast.FormattedValue(conversion=conversion):
            return "'x'" if conversion == ord("r") else "7"
    raise AssertionError(ast.dump(said))


@pytest.mark.parametrize("complaint", sorted(set(complaints())))
def test_a_complaint_of_a_built_in_tool_has_russian_words(complaint: str) -> None:
    assert PHRASES.reason(complaint)


def test_the_complaints_are_found_in_the_source() -> None:
    found = set(complaints())
    assert len(found) > 20
    assert "no city named 'x' is known" in found
