"""What is served over HTTP, whoever listens: which path is answered by what, and to whom.

    GET /metrics         what ``render`` makes of the header ``Accept``
    GET /healthz         what ``pages`` have at this path, and likewise for others of them
    GET /events          what ``watchers`` are told, as long as they like
    POST /control/...    what ``act`` makes of it, if there is one; and GET /control

Every program of this machine may ask at a port, and so may a web page in its browser. Hence a control
request must carry a header that no page may add without asking first (``X-Voice-Agent``; Fetch standard:
CORS-preflight), must not say that it comes from a page or through a proxy, and must call us by an address: a
page whose own name was made to lead here (DNS rebinding) would pass for one of ours. Nor may such a page read
how we are. Whoever has proved who it is may call us by any name: a foreign page cannot prove that.

From another machine nothing can be controlled, whatever it can prove.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from voice_agent.telemetry.exchange import Answer, Caller, Request, plain
from voice_agent.telemetry.watchers import EVENTS, Watchers

Render = Callable[[str], tuple[str, bytes]]
"""From the header ``Accept`` to content type and body."""

Act = Callable[[str, Mapping[str, str]], tuple[HTTPStatus, bytes]]
"""From what follows ``/control/`` and the query to status and JSON; an empty path asks how things are."""

Page = Callable[[], Answer]
"""What is answered now."""

NO_PAGES: Mapping[str, Page] = {}
CONTROL = "/control"
QUESTIONS = frozenset({"", "timers", "tools"})
"""What is asked there without changing anything."""
GUARD = "x-voice-agent"
"""Its value does not matter."""
RELAYED = frozenset({"origin", "referer", "forwarded", "x-forwarded-for"})
"""Only pages and proxies say so."""


class Site(NamedTuple):
    """What there is; the servers ask it for answers. No ``act``: no controls; no ``watchers``: no events."""

    render: Render
    pages: Mapping[str, Page] = NO_PAGES
    act: Act | None = None
    watchers: Watchers | None = None

    def answer(self, request: Request | None, caller: Caller) -> Answer:
        """What goes back; nothing of it waits."""
        if request is None:
            return plain(HTTPStatus.BAD_REQUEST)
        if self.act and caller.is_local and _is_control(request.path):
            return self._control(request, self.act)
        if request.method not in ("GET", "HEAD"):
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        if request.path == "/metrics":
            kind, body = self.render(request.fields.get("accept", ""))
            return Answer(HTTPStatus.OK, body, kind)
        if not (request.path in self.pages or (request.path == EVENTS and self.watchers)):
            return plain(HTTPStatus.NOT_FOUND)
        if not (caller.is_known or names_us(request.fields.get("host", "localhost"))):
            return plain(HTTPStatus.FORBIDDEN)
        if request.path in self.pages:
            return self.pages[request.path]()
        if not is_of_our_page(request):
            return plain(HTTPStatus.FORBIDDEN)
        return self.watchers.welcome() if self.watchers else plain(HTTPStatus.NOT_FOUND)

    def _control(self, request: Request, act: Act) -> Answer:
        deed = request.path.removeprefix(CONTROL).strip("/")
        method = "GET" if deed in QUESTIONS else "POST"
        if request.method != method:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, Allow=method)
        if not is_ours(request):
            return plain(HTTPStatus.FORBIDDEN)
        return Answer(*act(deed, request.query))


def is_ours(request: Request) -> bool:
    """Whether a program of this machine asks, and not a web page in its browser."""
    named = names_us(request.fields.get("host", ""))
    return GUARD in request.fields and RELAYED.isdisjoint(request.fields) and named


def is_of_our_page(request: Request) -> bool:
    """Whether no other page asks: it could not read what it hears, but would keep a watcher's place."""
    origin = request.fields.get("origin", "")
    return not origin or origin.rpartition("/")[2] == request.fields.get("host", "")


def names_us(host: str) -> bool:
    """Whether this is an address or ``localhost``, and not the name of a page that was made to lead here."""
    try:
        name = urlsplit("//" + host).hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:  # a bracket that does not close, or a name
        return False


def _is_control(path: str) -> bool:
    return path == CONTROL or path.startswith(CONTROL + "/")
