"""Tells a new connection what was said before it, in the way that its server accepts.

Items: one for each line, under its speaker's role. Recap: one message of the user that tells everything, for
servers that refuse items in the assistant's name. Calls of tools are told in words in both: a call item
without its twin breaks a conversation. A server that refuses the items gets the recap, once; one that
refuses that goes without. Restored items are never truncated or deleted: they have no sound.
"""

from collections.abc import Collection, Iterable, Sequence

from voice_agent.dialogue.memory import AgentLine, Key, Line, Memory, ToolLine, UserLine
from voice_agent.realtime.events import Content, CreateItem, ErrorDetail, Item
from voice_agent.realtime.providers import History, under_pressure

ITEM_ID = "restored"
"""Begins the ``event_id`` of everything that restores: a refusal names it."""

REFUSAL_S = 5.0
"""A refusal that names no event comes within this time after the restored items."""

REFUSAL_WORDS = ("contentitem", "output_text", "not supported")
"""How such refusals were seen to speak."""


class Restoration:
    """One connection's part: what was sent, and what is left to try."""

    def __init__(self, history: History, memory: Memory) -> None:
        self._history = memory.history or history
        self._memory = memory
        self._until = 0.0
        self._count = 0

    def begin(self, owed: Collection[Key], now: float) -> Sequence[CreateItem]:
        """The events that restore. ``owed``: the lines that the model is to answer."""
        self._until = now + REFUSAL_S
        match self._history:
            case History.ITEMS:
                return [self._event(*_item(line, self._russian())) for line in self._memory]
            case History.RECAP:
                return self._recap(owed)
        return []

    def refused(self, error: ErrorDetail, now: float) -> Sequence[CreateItem] | None:
        """What to send instead; ``None`` if the error is about something else."""
        if not self._names_ours(error, now):
            return None
        if self._history is History.ITEMS:
            self._history = History.RECAP
            if not under_pressure(error):
                self._memory.history = History.RECAP
            return self._recap(())
        return []

    def _names_ours(self, error: ErrorDetail, now: float) -> bool:
        if error.event_id:
            return error.event_id.startswith(ITEM_ID)
        message = (error.message or "").lower()
        return now < self._until and any(word in message for word in REFUSAL_WORDS)

    def _recap(self, owed: Collection[Key]) -> Sequence[CreateItem]:
        """One message about what is over, and the user's last words as his own if they are to be answered."""
        due = [line for key, line in self._memory.entries() if key in owed]
        past = [line for key, line in self._memory.entries() if key not in owed]
        texts = [recap(past, russian=self._russian())] if past else []
        return [self._event("user", text) for text in [*texts, *(line.text for line in due)]]

    def _russian(self) -> bool:
        return mostly_russian(line.text for line in self._memory if not isinstance(line, ToolLine))

    def _event(self, role: str, text: str) -> CreateItem:
        self._count += 1
        kind = "output_text" if role == "assistant" else "input_text"
        item = Item(type="message", role=role, content=[Content(type=kind, text=text)])
        return CreateItem(event_id=f"{ITEM_ID}_{self._count}", item=item)


def _item(line: Line, russian: bool) -> tuple[str, str]:
    """The role and the words of one line."""
    match line:
        case UserLine(text=text):
            return "user", text
        case AgentLine(text=text, cut=cut):
            return "assistant", f"{text} ..." if cut else text
        case ToolLine():
            return "system", _tool(line, russian)


def recap(lines: Sequence[Line], *, russian: bool) -> str:
    """A conversation as one text, to be read and not to be answered."""
    user, agent = ("Я", "Ты") if russian else ("I", "You")
    told = [RUSSIAN if russian else ENGLISH]
    for line in lines:
        match line:
            case UserLine(text=text):
                told.append(f"{user}: {text}")
            case AgentLine(text=text, cut=cut):
                told.append(f"{agent}: {text} ..." if cut else f"{agent}: {text}")
            case ToolLine():
                told.append(_tool(line, russian))
    return "\n".join(told)


ENGLISH = (
    "(The connection was renewed. This is what was said before, so that you remember it;"
    " do not answer this message, wait for what I say next.)"
)
RUSSIAN = (
    "(Соединение установлено заново. Вот что было сказано раньше, чтобы ты это помнил;"
    " на это сообщение не отвечай, жди, что я скажу дальше.)"
)


def _tool(line: ToolLine, russian: bool) -> str:
    arguments = "" if line.arguments in ("", "{}") else f" {line.arguments}"
    if russian:
        return f"(Инструмент {line.name}{arguments} ответил: {line.text})"
    return f"(The tool {line.name}{arguments} answered: {line.text})"


def mostly_russian(texts: Iterable[str]) -> bool:
    """Whether most letters are Cyrillic."""
    letters = [char for text in texts for char in text if char.isalpha()]
    return sum("\u0400" <= char <= "\u04ff" for char in letters) * 2 > len(letters)
