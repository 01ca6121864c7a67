"""The socket against a real WebSocket server: what its failures are called."""

import asyncio

import pytest
from aiohttp import web

from voice_agent.embedded import Fault, Script, ServerOptions, running
from voice_agent.errors import ConnectFailed, ConnectionLost, SessionError, Unauthorized
from voice_agent.wire import Endpoint, connect

SECRET = "AQVN-very-secret"


async def _fail(endpoint: Endpoint) -> SessionError:
    """Connect and read to the end; the reason of the end."""
    try:
        async with connect(endpoint) as socket, asyncio.timeout(5):
            while True:
                await socket.receive()
    except SessionError as error:
        return error
    raise AssertionError("the connection did not end")


def _failure_of(script: Script, *, key: str | None = None) -> SessionError:
    async def run() -> SessionError:
        async with running(ServerOptions(script=script, api_key=key)) as server:
            headers = {"Authorization": f"Bearer {SECRET}"}
            return await _fail(Endpoint(server.url + "?model=gpt://b1g/x", headers))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unauthorized),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, Unauthorized),
        (429, ConnectFailed),
        (500, ConnectFailed),
        (503, ConnectFailed),
        (200, ConnectFailed),
    ],
)
def test_a_refused_upgrade_is_named_by_what_could_cure_it(status: int, kind: type[SessionError]) -> None:
    error = _failure_of(Script(refuse=(status,)))
    assert type(error) is kind
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, ConnectionLost),
        (1001, ConnectionLost),
        (1011, ConnectionLost),
        (1008, Unauthorized),
        (3000, Unauthorized),
        (4000, Unauthorized),
    ],
)
def test_a_closing_code_is_named_by_what_could_cure_it(code: int, kind: type[SessionError]) -> None:
    fault = Fault(after="session.created", do="close", code=code, text="because")
    error = _failure_of(Script(faults=(fault,)))
    assert type(error) is kind
    assert f"code {code}" in str(error)
    assert "because" in str(error)


def test_a_cut_line_is_a_lost_connection() -> None:
    error = _failure_of(Script(faults=(Fault(after="session.created", do="drop"),)))
    assert type(error) is ConnectionLost


def test_a_port_where_nobody_listens_is_a_failed_connection() -> None:
    error = asyncio.run(_fail(Endpoint("ws://127.0.0.1:9/v1/realtime")))
    assert type(error) is ConnectFailed


def test_a_name_that_does_not_exist_is_a_failed_connection() -> None:
    error = asyncio.run(_fail(Endpoint("ws://no-such-host.invalid/v1/realtime")))
    assert type(error) is ConnectFailed


def test_an_address_that_is_none_is_a_failed_connection() -> None:
    assert type(asyncio.run(_fail(Endpoint("ws://:0:x/")))) is ConnectFailed


def test_no_error_shows_the_key_or_the_query() -> None:
    error = _failure_of(Script(), key="another")
    assert isinstance(error, Unauthorized)
    assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert "gpt://" not in str(error)
    assert SECRET not in repr(Endpoint("ws://x", {"Authorization": SECRET}))


def test_a_frame_beyond_the_limit_is_a_lost_connection_not_a_crash() -> None:
    async def run() -> SessionError:
        async with running(ServerOptions(script=Script())) as server:
            return await _fail(Endpoint(server.url, max_frame_bytes=100))

    assert type(asyncio.run(run())) is ConnectionLost


def test_a_server_that_never_answers_the_upgrade_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.wire.CONNECT_TIMEOUT_S", 0.05)

    async def run() -> SessionError:
        async def never(_: web.Request) -> web.Response:
            await asyncio.sleep(2)
            return web.Response()

        app = web.Application()
        app.router.add_get("/", never)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            return await _fail(Endpoint(f"ws://127.0.0.1:{runner.addresses[0][1]}/"))
        finally:
            await runner.cleanup()

    assert "no answer" in str(asyncio.run(run()))


def test_sending_on_a_dead_line_is_a_lost_connection() -> None:
    async def send_for_ever(endpoint: Endpoint) -> None:
        async with connect(endpoint) as socket, asyncio.timeout(5):
            while True:
                await socket.send(b"{}")
                await asyncio.sleep(0)

    async def run() -> None:
        fault = Fault(after="session.created", do="drop")
        async with running(ServerOptions(script=Script(faults=(fault,)))) as server:
            with pytest.raises(ConnectionLost):
                await send_for_ever(Endpoint(server.url))

    asyncio.run(run())
