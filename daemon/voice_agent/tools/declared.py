"""What the tools that an operator declares have in common: schema, manners, credentials."""

import logging
import ssl
from collections.abc import Callable, Mapping

from voice_agent.credentials import Secret, find_named
from voice_agent.dialogue import Manners, Reply
from voice_agent.errors import ConfigError, ToolError
from voice_agent.repeats import Repeats
from voice_agent.tools.helper import beside
from voice_agent.trust import trusting

log = logging.getLogger(__name__)
_missing = Repeats(log)

Credentials = Callable[[str], Secret]
"""A credential by its name, as it is now; a ConfigError says that there is none. Blocks."""


def object_schema(parameters: Mapping[str, object]) -> Mapping[str, object]:
    """A tool's parameters as a schema: arguments always are an object, which need not be said."""
    return {"type": "object", "properties": {}, **parameters}


def manners(*, speak: str, parallel: bool, interruptible: bool, timeout_s: float) -> Manners:
    """The manners that the configuration states."""
    return Manners(parallel, Reply(speak), interruptible, timeout_s)


async def trust(ca_file: str) -> ssl.SSLContext | None:
    """Whose certificates a tool believes; None for the system's authorities. Raises ToolError."""
    if not ca_file:
        return None
    try:
        return (await beside(lambda: trusting(ca_file, "ca_file"), "certificates")).result()
    except ConfigError as error:
        _missing.tell(ca_file, "a tool has no certificates", {"reason": str(error)})
        raise ToolError("the certificates of this tool's authority cannot be read") from None


async def credential(name: str, find: Credentials = find_named) -> Secret:
    """The credential of a tool, read anew for each call: tokens are renewed."""
    try:
        return (await beside(lambda: find(name), "credential")).result()
    except ConfigError as error:
        _missing.tell(name, "a tool has no credential", {"credential": name, "reason": str(error)})
        raise ToolError(f"the credential {name} of this tool cannot be read") from None
