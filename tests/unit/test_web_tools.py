"""Tools that ask web services: against real servers on loopback, with names that mean what a test wants."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from voice_agent.config import HttpTool
from voice_agent.credentials import Secret
from voice_agent.errors import ConfigError, ToolError
from voice_agent.tools.base import Tool, Toolbox
from voice_agent.tools.web import web_tool
from voice_agent.tools.web.access import Access, CheckedResolver

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Result = Mapping[str, object]


class Names(AbstractResolver):
    """What names mean, call by call: the last answer holds from then on."""

    def __init__(self, **names: Sequence[str]) -> None:
        self._names = {name.replace("_", "."): list(addresses) for name, addresses in names.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answers = self._names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


HERE = Names(hub_local=["127.0.0.1"], home_example_org=["127.0.0.1"], hub2_local=["127.0.0.1"])


@asynccontextmanager
async def serving(handler: Handler, method: str = "*") -> AsyncIterator[int]:
    """A server on loopback; its port."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route(method, "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def declared(url: str, **settings: object) -> HttpTool:
    return HttpTool(name="probe", description="A probe.", url=url, **settings)  # type: ignore[arg-type]


def no_secret(_name: str) -> Secret:
    raise AssertionError


async def asked(tool: HttpTool, resolver: AbstractResolver = HERE, /, **arguments: object) -> Result:
    return await called(web_tool(tool, resolver, no_secret), **arguments)


async def called(tool: Tool, /, **arguments: object) -> Result:
    result = tool.handler(arguments)
    assert isinstance(result, Coroutine)
    answer: Result = await result
    return answer


def ask(
    handler: Handler,
    url: str,
    *,
    resolver: AbstractResolver = HERE,
    arguments: Mapping[str, object] | None = None,
    **settings: object,
) -> Result:
    """The result of one call; PORT in the url is the server's."""

    async def scene() -> Result:
        async with serving(handler) as port:
            tool = declared(url.replace("PORT", str(port)), **settings)
            return await asked(tool, resolver, **(arguments or {}))

    return asyncio.run(scene())


def refusal(handler: Handler, url: str, **settings: object) -> str:
    with pytest.raises(ToolError) as caught:
        ask(handler, url, **settings)  # type: ignore[arg-type]
    return str(caught.value)


async def echo(request: web.Request) -> web.StreamResponse:
    body = await request.json() if request.can_read_body else None
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "body": body,
            "auth": request.headers.get("X-Key"),
        }
    )


def answers(**response: object) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(**response)  # type: ignore[arg-type]

    return handler


# ------------------------------------------------------------------------------------ what is asked


def test_arguments_fill_path_and_query_as_what_they_are_and_nothing_more() -> None:
    result = ask(
        echo,
        "http://hub.local:PORT/rooms/{room}/t?u={unit}&fixed=a+b",
        query={"q": "{q}", "plain": "a&b"},
        arguments={"room": "a/b?c#d&e=ü", "unit": 5, "q": "x&y=1 %2f"},
    )
    assert result["path"] == (
        "/rooms/a%2Fb%3Fc%23d%26e%3D%C3%BC/t?u=5&fixed=a+b&q=x%26y%3D1%20%252f&plain=a%26b"
    )


def test_a_parameter_of_the_query_without_its_argument_is_left_out() -> None:
    result = ask(echo, "http://hub.local:PORT/?a={a}&b={b}", query={"c": "{c}"}, arguments={"b": True})
    assert result["path"] == "/?b=true"


@pytest.mark.parametrize("room", ["..", ".", "", None, "../../admin", "a\\..\\b", "x/../y"])
def test_an_argument_cannot_climb_out_of_its_path(room: str | None) -> None:
    assert "argument" in refusal(echo, "http://hub.local:PORT/rooms/{room}/t", arguments={"room": room})


def test_arguments_of_any_length_do_not_make_an_endless_address() -> None:
    told = refusal(echo, "http://hub.local:PORT/{x}", arguments={"x": "y" * 9000})
    assert told == "the arguments are too long for a web address"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_arguments_that_stand_nowhere_else_are_the_body(method: str) -> None:
    given = {"room": "hall", "on": True, "levels": [1, 2]}
    result = ask(echo, "http://hub.local:PORT/{room}", method=method, arguments=given)
    assert (result["method"], result["body"]) == (method, {"on": True, "levels": [1, 2]})


def test_a_body_is_a_template_in_which_arguments_keep_their_types() -> None:
    body = {"id": "light.{room}", "on": "{on}", "x": ["{level}", "{gone}"], "gone": "{gone}", "n": {"a": 1}}
    given = {"room": "hall", "on": False, "level": 0.5}
    result = ask(echo, "http://hub.local:PORT/", method="POST", body=body, arguments=given)
    assert result["body"] == {"id": "light.hall", "on": False, "x": [0.5], "n": {"a": 1}}


def test_neither_get_nor_delete_has_a_body() -> None:
    for method in ("GET", "DELETE"):
        assert ask(echo, "http://hub.local:PORT/", method=method, arguments={"x": 1})["body"] is None


# --------------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        (b'{"a": {"b": [{"c": "warm"}]}}', "a.b[0].c", {"answer": "warm"}),
        (b'{"a": {"b": 5}}', "a", {"b": 5}),
        (b"[1, 2]", "", {"answer": [1, 2]}),
        (b"21.5", "", {"answer": 21.5}),
        (b"", "", {"done": True}),
    ],
)
def test_the_answer_is_an_object_or_inside_of_one(body: bytes, path: str, expected: object) -> None:
    handler = answers(body=body, content_type="application/json")
    assert ask(handler, "http://hub.local:PORT/", answer=path) == expected


def test_text_is_an_answer_in_whatever_charset() -> None:
    for charset in ("cp1251", "utf-8"):
        handler = answers(
            body=" тепло\n".encode(charset), headers={"Content-Type": f"text/plain; charset={charset}"}
        )
        assert ask(handler, "http://hub.local:PORT/") == {"answer": "тепло"}
    odd = answers(body=b"warm \xff", headers={"Content-Type": "text/plain; charset=klingon"})
    assert ask(odd, "http://hub.local:PORT/") == {"answer": "warm �"}


@pytest.mark.parametrize(
    ("response", "settings", "told"),
    [
        ({"status": 404, "body": b"hunter2"}, {}, "hub.local answered HTTP 404 Not Found"),
        ({"status": 503}, {}, "hub.local answered HTTP 503 Service Unavailable"),
        ({"status": 304}, {}, "hub.local answered HTTP 304 Not Modified"),
        ({"body": b"{", "content_type": "application/json"}, {}, "is not the JSON that it should be"),
        ({"body": b"\xff", "content_type": "application/json"}, {}, "is not the JSON that it should be"),
        ({"body": b"[" * 5000, "content_type": "application/json"}, {}, "is not the JSON"),
        ({"text": "plain"}, {"answer": "a.b"}, "is not the JSON that it should be"),
        ({"text": '{"a": 1}'}, {"answer": "a.b"}, "holds nothing at 'a.b'"),
        ({"text": '{"a": 1}'}, {"answer": "abs(b)"}, "holds nothing at 'abs(b)'"),
        ({"body": b"\x89PNG", "content_type": "image/png"}, {}, "image/png, which is neither JSON nor text"),
        ({"body": b"x" * 3000}, {"max_kb": 2}, "the reply of hub.local is longer than 2 KiB"),
        (
            {"body": gzip.compress(bytes(10**7)), "headers": {"Content-Encoding": "gzip"}},
            {},
            "the reply of hub.local is longer than 256 KiB",
        ),
        ({"body": b"x", "headers": {"Content-Encoding": "gzip"}}, {}, "answered with broken compression"),
        ({"body": b"x", "headers": {"Content-Encoding": "br"}}, {}, "an encoding that was not asked for"),
    ],
)
def test_what_cannot_be_an_answer_is_told_in_short(
    response: dict[str, object], settings: dict[str, object], told: str
) -> None:
    message = refusal(answers(**response), "http://hub.local:PORT/secret?token=abc", **settings)
    assert told in message
    assert not any(word in message for word in ("token", "abc", "/secret", "hunter2"))


def test_compression_that_was_not_asked_for_is_undone() -> None:
    handler = answers(
        body=gzip.compress(b'{"a": 1}'),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert ask(handler, "http://hub.local:PORT/") == {"a": 1}


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50 * 10**6))
    tracemalloc.start()
    try:
        told = refusal(answers(body=bomb, headers={"Content-Encoding": "gzip"}), "http://hub.local:PORT/")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "longer than 256 KiB" in told
    assert peak < 10 * 10**6


def test_an_endless_reply_is_read_up_to_the_limit_only() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65536))
            sent += 65536

    assert "longer than 64 KiB" in refusal(endless, "http://hub.local:PORT/", max_kb=64)
    assert sent < 2**24


def test_a_server_that_is_silent_in_the_middle_is_waited_for_no_longer_than_the_limit() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.sleep(30)
        return response

    async def scene() -> str:
        async with serving(silent) as port:
            tool = declared(f"http://hub.local:{port}/", timeout_s=0.5)
            return (await Toolbox([web_tool(tool, HERE)]).run("probe", "{}")).output

    assert "within 0.5 s" in asyncio.run(scene())


# ---------------------------------------------------------------------------- where it may lead


def redirecting(target: str, status: int = 302) -> Handler:
    """A server whose /a leads elsewhere; PORT is its own port."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path != "/a":
            return await echo(request)
        location = target.replace("PORT", str(request.url.port))
        return web.Response(status=status, headers={"Location": location})

    return handler


@pytest.mark.parametrize(
    ("target", "settings", "told"),
    [
        ("http://evil.example/", {}, "redirects to evil.example, which allow_hosts does not name"),
        ("http://127.0.0.1:PORT/b", {}, "redirects to 127.0.0.1, which allow_hosts does not name"),
        ("http://hub.local:1/b", {}, "redirects to an odd address"),
        ("http://me:hunter2@hub.local:PORT/b", {}, "redirects to an odd address"),
        ("file:///etc/passwd", {}, "redirects to an address without encryption"),
        ("http://[", {}, "redirects to an odd address"),
        ("/a", {}, "redirects again and again"),
        (
            "http://home.example.org:PORT/b",
            {"allow_hosts": ("home.example.org",), "insecure": True},
            "home.example.org is an address of the local network, which `allow_private` does not allow",
        ),
        (
            "http://home.example.org:PORT/b",
            {"allow_hosts": ("home.example.org",)},
            "home.example.org is asked without encryption",
        ),
    ],
)
def test_a_redirect_that_leads_astray_is_not_followed(
    target: str, settings: dict[str, object], told: str
) -> None:
    message = refusal(redirecting(target), "http://hub.local:PORT/a", **settings)
    assert told in message
    assert "hunter2" not in message


@pytest.mark.parametrize("target", ["/b", "http://hub.local:PORT/b", "http://HUB2.local:PORT/b"])
def test_a_redirect_to_a_host_that_is_named_is_followed(target: str) -> None:
    result = ask(redirecting(target), "http://hub.local:PORT/a", allow_hosts=("Hub2.local",))
    assert result["path"] == "/b"


@pytest.mark.parametrize(
    ("status", "method", "body"), [(303, "GET", None), (302, "GET", None), (307, "POST", {"x": 1})]
)
def test_what_becomes_of_a_post_is_as_the_redirect_says(status: int, method: str, body: object) -> None:
    result = ask(redirecting("/b", status), "http://hub.local:PORT/a", method="POST", arguments={"x": 1})
    assert (result["method"], result["body"]) == (method, body)


def test_a_public_name_with_a_private_address_is_refused_until_it_is_allowed() -> None:
    url = "http://home.example.org:PORT/"
    told = refusal(echo, url, insecure=True)
    assert told == "home.example.org is an address of the local network, which `allow_private` does not allow"
    assert ask(echo, url, allow_private=True)["path"] == "/"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%2",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
def test_every_kind_of_private_address_counts_as_one(address: str) -> None:
    told = refusal(echo, "https://x.example/", resolver=Names(x_example=[address]))
    assert "is an address of the local network" in told


def test_a_name_that_changes_its_meaning_is_judged_where_it_is_used() -> None:
    # First look public (nobody listens there in a test), then private: the connection never sees the second.
    names = Names(x_example=["127.0.0.1", "203.0.113.1"])
    assert "local network" in refusal(echo, "https://x.example/", resolver=names)


def test_of_several_addresses_only_the_public_ones_are_used() -> None:
    class Several(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [(await Names.resolve(self, host, port, family))[0] for _ in range(3)]

    addresses = ["10.0.0.1", "8.8.8.8", "::1"]
    access = Access(URL("https://x.example/"), [], allow_private=False, insecure=False)
    found = asyncio.run(CheckedResolver(Several(x_example=addresses), access).resolve("x.example"))
    assert [each["host"] for each in found] == ["8.8.8.8"]


def test_encryption_is_not_given_up_on_the_way() -> None:
    access = Access(URL("https://x.example/"), ["y.local"], allow_private=True, insecure=True)
    with pytest.raises(ToolError, match="without encryption"):
        access.check_redirect(URL("https://x.example/"), URL("http://y.local:443/"))
    access.check_redirect(URL("http://x.example/"), URL("https://x.example/"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:PORT/", "http://localhost:PORT/", "http://hub:PORT/"])
def test_a_url_that_names_this_place_itself_may_go_there(url: str) -> None:
    names = Names(localhost=["127.0.0.1"], hub=["127.0.0.1"])
    assert ask(echo, url, resolver=names)["path"] == "/"


def test_who_cannot_be_reached_is_told_by_what_is_wrong() -> None:
    assert (
        refusal(echo, "http://gone.local/") == "the name gone.local has no address now; is there a network?"
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told = refusal(echo, f"http://127.0.0.1:{nobody.getsockname()[1]}/")
    assert told == "127.0.0.1 cannot be reached; is there a network, and is the server up?"


def test_a_server_without_tls_where_tls_is_due_is_told() -> None:
    assert refusal(echo, "https://hub.local:PORT/").startswith("no secure connection to hub.local")


# ------------------------------------------------------------------------------------- credentials


def with_key(url: str, handler: Handler, **settings: object) -> list[Result]:
    """The results of two calls, between which the token is renewed."""
    tokens = iter(["first", "second"])

    async def scene() -> list[Result]:
        async with serving(handler) as port:
            wanted = declared(url.replace("PORT", str(port)), key_from="hub", key_header="X-Key", **settings)
            tool = web_tool(wanted, HERE, lambda name: Secret(f"{name}-{next(tokens)}"))
            return [await called(tool) for _ in range(2)]

    return asyncio.run(scene())


def test_a_credential_is_a_header_and_read_anew_for_each_call() -> None:
    results = with_key("http://hub.local:PORT/", echo)
    assert [result["auth"] for result in results] == ["Bearer hub-first", "Bearer hub-second"]
    assert with_key("http://hub.local:PORT/", echo, key_scheme="")[0]["auth"] == "hub-first"


def test_a_credential_stays_with_its_origin() -> None:
    assert with_key("http://hub.local:PORT/a", redirecting("/b"))[0]["auth"] == "Bearer hub-first"
    away = redirecting("http://hub2.local:PORT/b")
    assert with_key("http://hub.local:PORT/a", away, allow_hosts=("hub2.local",))[0]["auth"] is None


def test_a_credential_that_is_not_there_is_told_to_the_model_without_its_places(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def missing(name: str) -> Secret:
        raise ConfigError(f"credential {name}", "there is none; give it in VOICE_AGENT_CREDENTIAL_HUB")

    tool: Tool = web_tool(declared("http://hub.local/", key_from="hub"), HERE, missing)
    with pytest.raises(ToolError, match=r"^the credential hub of this tool cannot be read$"):
        asyncio.run(called(tool))
    assert "a tool has no credential" in caplog.text


# ----------------------------------------------------------------------------------------- manners


def test_asking_may_be_given_up_and_changing_may_not_unless_it_is_said() -> None:
    def interruptible(**settings: object) -> bool:
        return web_tool(declared("https://x.example/", **settings), HERE).manners.cancellable

    assert [interruptible(), interruptible(method="POST")] == [True, False]
    assert [interruptible(interruptible=False), interruptible(method="PUT", interruptible=True)] == [
        False,
        True,
    ]
