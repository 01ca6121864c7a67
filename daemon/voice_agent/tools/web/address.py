"""A call's address from its template. Pure.

An argument fills a part of one path segment, or of one value in the query, and can never become more: what
it says is percent-encoded, and what would climb or vanish even so ("..", nothing) is refused.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from yarl import URL

from voice_agent.errors import ToolError
from voice_agent.placeholders import Arguments, fill, is_filled_by, names_in

MAX_CHARS = 8000
"""Of an address: servers commonly refuse more."""

_SAFE = "/%:@!$&'()*+,;=-._~"
"""What may stand in a template's own text as it is (RFC 3986, 3.3); braces only around names."""


class Template:
    """Where a tool's calls go. ``query``: parameters beside those in ``url``, in plain text."""

    def __init__(self, url: str, query: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.origin = URL(f"{parts.scheme}://{parts.netloc}").origin()
        self._segments = (parts.path or "/").split("/")
        given = [pair.partition("=") for pair in parts.query.split("&") if pair]
        self._pairs = [
            *((_literal(name) + equals, value, _literal) for name, equals, value in given),
            *((_encoded(name) + "=", value, _encoded) for name, value in query.items()),
        ]
        self.names = frozenset(names_in([*self._segments, *(value for _, value, _ in self._pairs)]))

    def address(self, arguments: Arguments) -> URL:
        """Where a call goes; a parameter of the query without its argument is left out."""
        path = "/".join(_segment(each, arguments) for each in self._segments)
        query = "&".join(
            name + fill(value, arguments, encode=_encoded, own=own)
            for name, value, own in self._pairs
            if is_filled_by(value, arguments)
        )
        if len(path) + len(query) > MAX_CHARS:
            raise ToolError("the arguments are too long for a web address")
        authority = self.origin.raw_authority
        return URL.build(
            scheme=self.origin.scheme, authority=authority, path=path, query_string=query, encoded=True
        )


def _segment(template: str, arguments: Arguments) -> str:
    for name in names_in(template):
        if arguments.get(name) in (None, ""):
            raise ToolError(f"argument {name!r} is missing or empty")
    filled = fill(template, arguments, encode=_encoded, own=_literal)
    # Some servers decode a segment before they split the path, so that its parts count as well.
    if any(part in (".", "..") for part in re.split(r"[/\\]", unquote(filled))):
        raise ToolError('an argument may not be or contain the path "." or ".."')
    return filled


def _literal(text: str) -> str:
    """A part of the operator's url: encoded already, but for what no URL can hold."""
    return quote(text, safe=_SAFE)


def _encoded(text: str) -> str:
    return quote(text, safe="")
