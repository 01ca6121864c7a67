"""What the model may call on this device: one file per tool, and ``base`` runs them.

A package that brings tools of its own (a plug-in) needs no more than the names below.
"""

from voice_agent.dialogue import Manners, Reply
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.plugins import Context
from voice_agent.tools.schema import InvalidArguments

__all__ = ["Arguments", "Context", "InvalidArguments", "Manners", "Reply", "Tool", "ToolError"]
