"""Two tools for a kitchen: an example of a plug-in for voice-agent."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from voice_agent.tools import Arguments, Context, Manners, Reply, Tool, ToolError

CUP_ML = 240
CUPS = {
    "type": "object",
    "properties": {"cups": {"type": "number", "exclusiveMinimum": 0, "maximum": 50}},
    "required": ["cups"],
}
NOTE = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 200}},
    "required": ["text"],
}


def tools(context: Context) -> list[Tool]:
    """What the entry point names; called once, in a thread."""
    return [
        Tool("convert_cups", "How many millilitres some cups are.", CUPS, convert_cups),
        Tool(
            "add_to_shopping_list",
            "Write something down on the shopping list.",
            NOTE,
            ShoppingList(context.state),
            Manners(parallel=False, reply=Reply.IF_SILENT, cancellable=False, timeout_s=5),
        ),
    ]


async def convert_cups(arguments: Arguments) -> Mapping[str, object]:
    """Runs on the daemon's event loop: it may wait, but not block."""
    await asyncio.sleep(0)
    cups = arguments["cups"]
    return {"millilitres": round(cups * CUP_ML) if isinstance(cups, int | float) else None}


class ShoppingList:
    """Runs in a thread of its own, as it has no ``async``: it may block, for instance on a file."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def __call__(self, arguments: Arguments) -> Mapping[str, object]:
        if self._directory is None:
            raise ToolError("there is no place to keep a shopping list")
        print("a plug-in that prints disturbs nobody")
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "shopping.txt"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{arguments['text']}\n")
        return {"items": len(path.read_text(encoding="utf-8").splitlines())}
