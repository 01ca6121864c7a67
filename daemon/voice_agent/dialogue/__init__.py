"""The core: turns, answers, barge-in and tools. Decides in values; performs no I/O and reads no clock.

* ``values``: what enters (``Moment``) and what leaves (commands and facts); ``carried``: what is handed on.
* ``memory``: what was said, in words; outlives connections.
* books: ``answers`` (each response's turn, items and words), ``playout`` (which item stands where, hence what
  was heard), ``questions`` (what the user asked, and where it lies in the captured sound), ``requests`` (when
  the model may be asked to speak), ``calls`` (tool calls, answered once each); ``books``: all of them.
* ``manners``: how a tool behaves in a conversation.
* rules: ``turns`` (the user), ``answering`` (the model), ``calling`` (its tools), ``patience`` (nobody),
  ``carry`` and ``restore`` (from connection to connection).
* ``core``: ``Dialogue``, which hands out; ``duplicates``: what it does not hand out twice.
"""

from voice_agent.dialogue.carried import Carried
from voice_agent.dialogue.core import Dialogue, State
from voice_agent.dialogue.manners import Manners, MannersOf, Outcome, Reply
from voice_agent.dialogue.memory import Memory
from voice_agent.dialogue.values import (
    Abandon,
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    CancelTool,
    Command,
    Fact,
    Finish,
    FirstSound,
    Granted,
    Moment,
    Play,
    Restored,
    RunTool,
    Send,
    ServerFault,
    Silence,
    Silenced,
    Stuck,
    Tell,
    TokensUsed,
    ToolAnswered,
    ToolCall,
    ToolCalled,
    ToolOutcome,
    ToolsRefused,
    TurnStarted,
    UserSaid,
    UserStopped,
)

__all__ = [
    "Abandon",
    "AgentSaid",
    "AnswerDropped",
    "AnswerFailed",
    "CancelTool",
    "Carried",
    "Command",
    "Dialogue",
    "Fact",
    "Finish",
    "FirstSound",
    "Granted",
    "Manners",
    "MannersOf",
    "Memory",
    "Moment",
    "Outcome",
    "Play",
    "Reply",
    "Restored",
    "RunTool",
    "Send",
    "ServerFault",
    "Silence",
    "Silenced",
    "State",
    "Stuck",
    "Tell",
    "TokensUsed",
    "ToolAnswered",
    "ToolCall",
    "ToolCalled",
    "ToolOutcome",
    "ToolsRefused",
    "TurnStarted",
    "UserSaid",
    "UserStopped",
]
