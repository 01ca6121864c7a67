"""A tool that asks a web service, as declared in ``[[tools.http]]``."""

from collections.abc import Callable, Mapping

import msgspec
from aiohttp.abc import AbstractResolver

from voice_agent import __version__
from voice_agent.config import HttpTool
from voice_agent.credentials import find_named
from voice_agent.errors import ToolError
from voice_agent.placeholders import fill_json
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.declared import Credentials, credential, manners, object_schema, trust
from voice_agent.tools.web.access import Access
from voice_agent.tools.web.address import Template
from voice_agent.tools.web.exchange import Reply, Request, exchange

KIB = 1024
WITH_BODY = ("POST", "PUT", "PATCH")
HEADERS = {
    "Accept": "application/json, text/plain;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",  # so that a long reply is seen to be one while it comes
    "User-Agent": f"voice-agent/{__version__}",
}


def web_tool(wanted: HttpTool, resolver: AbstractResolver, find: Credentials = find_named) -> Tool:
    """The tool that an operator has declared."""
    is_get = wanted.method == "GET"
    return Tool(
        wanted.name,
        wanted.description,
        object_schema(wanted.parameters),
        _Service(wanted, resolver, find).call,
        manners(
            speak=wanted.speak,
            parallel=wanted.parallel,
            interruptible=is_get if wanted.interruptible is None else wanted.interruptible,
            timeout_s=wanted.timeout_s,
        ),
    )


class _Service:
    """The web service behind one tool."""

    def __init__(self, wanted: HttpTool, resolver: AbstractResolver, find: Credentials) -> None:
        self._wanted = wanted
        self._resolver = resolver
        self._find = find
        self._template = Template(wanted.url, wanted.query)
        self._access = Access(
            self._template.origin,
            wanted.allow_hosts,
            allow_private=wanted.allow_private,
            insecure=wanted.insecure,
        )
        self._path = _compiled(wanted.answer) if wanted.answer else None

    async def call(self, arguments: Arguments) -> Mapping[str, object]:
        """The handler."""
        body = self._body(arguments)
        request = Request(
            self._wanted.method,
            self._template.address(arguments),
            HEADERS | ({} if body is None else {"Content-Type": "application/json"}) | self._wanted.headers,
            await self._secret(),
            body,
        )
        tls = await trust(self._wanted.ca_file)
        reply = await exchange(request, self._access, self._resolver, self._wanted.max_kb * KIB, tls)
        return self._answer(reply)

    def _body(self, arguments: Arguments) -> bytes | None:
        if self._wanted.body:
            return msgspec.json.encode(fill_json(self._wanted.body, arguments))
        if self._wanted.method not in WITH_BODY:
            return None
        elsewhere = self._template.names
        return msgspec.json.encode({name: each for name, each in arguments.items() if name not in elsewhere})

    async def _secret(self) -> Mapping[str, str]:
        if not self._wanted.key_from:
            return {}
        secret = await credential(self._wanted.key_from, self._find)
        return {self._wanted.key_header: f"{self._wanted.key_scheme} {secret.reveal()}".strip()}

    def _answer(self, reply: Reply) -> Mapping[str, object]:
        """An object as it is; anything else inside of one."""
        if not reply.body:
            return {"done": True}
        if self._path is None and not _is_json(reply):
            return {"answer": _text(reply)}
        try:
            value = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise ToolError("the server's reply is not the JSON that it should be") from None
        found = self._path(value) if self._path else value
        if self._path and found is None:
            raise ToolError(f"the server's reply holds nothing at {self._wanted.answer!r}")
        return found if isinstance(found, dict) else {"answer": found}


def _compiled(path: str) -> Callable[[object], object]:
    """What looks up a path; imported here, as few tools have one."""
    import jmespath

    expression = jmespath.compile(path)

    def look_up(value: object) -> object:
        try:
            return expression.search(value)
        except jmespath.exceptions.JMESPathError:  # one of its functions got what it is not for
            return None

    return look_up


def _is_json(reply: Reply) -> bool:
    return reply.content_type == "application/json" or reply.content_type.endswith("+json")


def _text(reply: Reply) -> str:
    if not reply.content_type.startswith("text/"):
        raise ToolError(f"the server answered with {reply.content_type}, which is neither JSON nor text")
    try:
        return reply.body.decode(reply.charset, errors="replace").strip()
    except LookupError:  # a charset that nobody knows
        return reply.body.decode(errors="replace").strip()
