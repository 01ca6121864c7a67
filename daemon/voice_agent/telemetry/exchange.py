"""One request and its answer, as values and as bytes: as much of HTTP/1.1 as one exchange needs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
NO_FIELDS: Mapping[str, str] = {}


class Request(NamedTuple):
    """What is of interest in a request. ``fields`` are named in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]


class Caller(NamedTuple):
    """Who asks. ``is_local``: a program of this machine; ``is_known``: it has proved who it is."""

    is_local: bool
    is_known: bool


class Answer(NamedTuple):
    """What goes back. ``kind``: of content; ``fields``: of the header, beside those that every answer has.

    An endless one has no length.
    """

    status: HTTPStatus
    body: bytes = b""
    kind: str = JSON
    fields: Mapping[str, str] = NO_FIELDS
    is_endless: bool = False


def plain(status: HTTPStatus, **fields: str) -> Answer:
    """The status and nothing else; underscores in the names of ``fields`` are hyphens."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Answer(status, f"{status.phrase}\n".encode(), TEXT, named)


def parsed(head: bytes) -> Request | None:
    """The request, or nothing if this is none of HTTP/1 (RFC 9112, 3)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    fields: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines if line):
        key = name.lower()
        fields[key] = f"{fields[key]},{value.strip()}" if key in fields else value.strip()
    path, _, query = words[1].partition("?")
    return Request(words[0], path, dict(parse_qsl(query.replace("+", "%2B"))), fields)


def encoded(answer: Answer, *, is_whole: bool = True) -> bytes:
    """The answer on the wire; its head alone if it is not to be whole."""
    fields = {
        "Content-Type": answer.kind,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **answer.fields,
    }
    if not answer.is_endless:
        fields["Content-Length"] = str(len(answer.body))
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + answer.body if is_whole else head
