"""Tool calls: run them in order, give up those that a new turn makes pointless, deliver every answer once.

A function's output may be sent at any time; it is ``response.create`` that must wait until nobody speaks.
"""

from collections.abc import Iterable, Sequence

from voice_agent.dialogue.books import Books
from voice_agent.dialogue.calls import Ended, Unanswered
from voice_agent.dialogue.memory import ToolLine
from voice_agent.dialogue.values import (
    CancelTool,
    Command,
    RunTool,
    Send,
    ServerFault,
    Stuck,
    Tell,
    ToolAnswered,
    ToolCall,
    ToolCalled,
    ToolOutcome,
)
from voice_agent.realtime.events import CreateItem, Item, ServerCallFailed, ServerListFailed, known
from voice_agent.realtime.providers import SERVER_TOOLS

CROWDED = '{"error": "too many tools were called at the same time; call fewer"}'
LATE = '{"error": "the tool gave no answer in time"}'
INTERRUPTED = '{"error": "cancelled, as the user went on to something else"}'
UNAPPROVED = "a call was refused, as nobody is there to approve it: set require_approval"
UNFINISHED = '{"status": "at work when the connection was lost, and goes on by itself: do not call it again"}'


def make(books: Books, response_id: str, item: Item, now: float) -> Sequence[Command]:
    """The model makes a call: it runs, once. Calls of server-side tools are the server's business."""
    answer = books.answer(response_id)
    answer.worked = True
    call_id = known(item.call_id) or known(item.id)
    name = known(item.name) or answer.call_names.get(call_id, "")
    call = ToolCall(call_id, name, known(item.arguments), answer.turn)
    if books.provider.server_tools and name in SERVER_TOOLS:
        fresh = books.calls.ignore(call_id)
        return [Tell(ToolCalled(answer.turn, name, call.arguments, here=False))] if fresh else []
    answer.called = True
    manners = books.manners(name)
    if not books.calls.enter(call, response_id, manners, over=answer.ended):
        return []
    told = Tell(ToolCalled(answer.turn, name, call.arguments, here=True))
    if books.calls.crowded:
        return [told, *_answer(books, ToolOutcome(call_id, CROWDED, "refused", seconds=0.0))]
    if answer.turn != books.turn and manners.cancellable:  # made while the user was already speaking
        return [told, *_answer(books, ToolOutcome(call_id, INTERRUPTED, "cancelled", seconds=0.0))]
    return [told, *_start(books, now)]


def refuse(books: Books, response_id: str, item: Item) -> Sequence[Command]:
    """The server wants an approval for a tool on its side: nobody is there who could give it."""
    answer = books.answer(response_id)
    asked = known(item.id)
    if answer.turn == books.turn:
        books.requests.want(answer.turn)
    refusal = Item(
        id=f"refused_{asked[-24:]}", type="mcp_approval_response", approval_request_id=asked, approve=False
    )
    return [
        Send(CreateItem(item=refusal)),
        Tell(ServerFault("server_tool", "mcp_approval_request", UNAPPROVED)),
    ]


def fault_of(event: ServerListFailed | ServerCallFailed) -> ServerFault:
    """A tool on the server's side has failed; the model knows, and speaks about it."""
    if isinstance(event, ServerListFailed):
        return ServerFault(
            "server_tool", "mcp_list_tools", "the server could not ask an MCP server for its tools"
        )
    return ServerFault("server_tool", "mcp_call", "the server's call of a tool on its side failed")


def deliver(books: Books, outcome: ToolOutcome, now: float) -> list[Command]:
    """Send a tool's answer, and run what has waited for this call; of a call given up, nothing is sent."""
    return [*_answer(books, outcome), *_start(books, now)]


def give_up(books: Books, now: float) -> list[Command]:
    """A turn has begun: calls of older ones are answered for, unless they are to run on."""
    commands: list[Command] = []
    for call, began in books.calls.give_up(books.turn):
        commands += [CancelTool(call.call_id)] if began is not None else []
        seconds = 0.0 if began is None else now - began
        commands += _answer(books, ToolOutcome(call.call_id, INTERRUPTED, "cancelled", seconds))
    return [*commands, *_start(books, now)]


def answer_for(books: Books, overdue: Iterable[Unanswered], now: float) -> list[Command]:
    """Whoever runs these tools is stuck: the model is told so."""
    commands: list[Command] = []
    for call, began in overdue:
        seconds = 0.0 if began is None else now - began
        commands.append(Tell(Stuck(call.turn, "tool", "answered")))
        commands += deliver(books, ToolOutcome(call.call_id, LATE, "timeout", seconds), now)
    return commands


def follow(books: Books, ended: Ended | None) -> None:
    """A batch is complete: ask for speech, or leave its turn at that. Older turns have had theirs."""
    if ended is None or ended.turn != books.turn:
        return
    if ended.speaks:
        books.requests.want(ended.turn)
    elif not books.promised():
        books.questions.settle(ended.turn)


# ------------------------------------------------------------------------------ when the connection ends


def hand_over(books: Books) -> None:
    """The next session is told of calls that run on, lest the model makes them again."""
    for call in books.calls.lasting():
        _remember(books, call, UNFINISHED)


def remember_late(books: Books, outcome: ToolOutcome) -> list[Command]:
    """An answer that comes after the connection has gone: the next session may be told of it."""
    if (entry := books.calls.answered(outcome.call_id, outcome.outcome)) is None:
        return []
    call, _ = entry
    _remember(books, call, outcome.output)
    return [Tell(ToolAnswered(call.turn, call.name, outcome.outcome, outcome.seconds))]


def _start(books: Books, now: float) -> list[Command]:
    return [RunTool(call, lasting=not manners.cancellable) for call, manners in books.calls.start(now)]


def _answer(books: Books, outcome: ToolOutcome) -> list[Command]:
    if (entry := books.calls.answered(outcome.call_id, outcome.outcome)) is None:
        return []
    call, ended = entry
    follow(books, ended)
    _remember(books, call, outcome.output)
    output = Item(type="function_call_output", call_id=outcome.call_id, output=outcome.output)
    return [
        Send(CreateItem(item=output)),
        Tell(ToolAnswered(call.turn, call.name, outcome.outcome, outcome.seconds)),
    ]


def _remember(books: Books, call: ToolCall, output: str) -> None:
    key = (books.connection, f"call {call.call_id}")
    books.memory.enter(key, ToolLine(call.turn, call.name, call.arguments, output))
