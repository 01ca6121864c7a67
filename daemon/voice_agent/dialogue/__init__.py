"""The core: turns, answers, barge-in and tools. Decides in values; performs no I/O and reads no clock.

* ``values``: what enters (``Moment``) and what leaves (commands and facts).
* ``answers``: each response's turn, items and words.
* ``playout``: which item stands where in the playout, hence what was heard.
* ``requests``: when the model may be asked to speak.
* ``calls``: tool calls, answered once each.
* ``core``: ``Dialogue``, which composes them.
"""

from voice_agent.dialogue.core import Dialogue, State
from voice_agent.dialogue.values import (
    Abandon,
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Command,
    Fact,
    FirstSound,
    Granted,
    Moment,
    Play,
    RunTool,
    Send,
    ServerFault,
    Silence,
    Silenced,
    Tell,
    ToolAnswered,
    ToolCall,
    ToolCalled,
    ToolOutcome,
    TurnStarted,
    UserSaid,
    UserStopped,
)

__all__ = [
    "Abandon",
    "AgentSaid",
    "AnswerDropped",
    "AnswerFailed",
    "Command",
    "Dialogue",
    "Fact",
    "FirstSound",
    "Granted",
    "Moment",
    "Play",
    "RunTool",
    "Send",
    "ServerFault",
    "Silence",
    "Silenced",
    "State",
    "Tell",
    "ToolAnswered",
    "ToolCall",
    "ToolCalled",
    "ToolOutcome",
    "TurnStarted",
    "UserSaid",
    "UserStopped",
]
