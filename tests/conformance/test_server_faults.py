"""What goes wrong on purpose: each fault strikes where and when its script says."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.wire_client import WireClient, ask, connected, converse
from voice_agent.embedded import (
    Fault,
    Script,
    Server,
    ServerOptions,
    Turn,
    controlling,
    load_script,
    running,
)
from voice_agent.errors import ConfigError

TURN = Turn(say="Some words to say.", ms=1000)
DELTA = "response.output_audio.delta"


async def one_answer(client: WireClient) -> None:
    await ask(client, "Go.")
    await client.wait(lambda: client.ended or "response.done" in client.types)


def with_fault(**fault: object) -> WireClient:
    return converse(one_answer, Script(turns=(TURN,), faults=(Fault(**fault),)))  # type: ignore[arg-type]


def test_a_close_comes_after_its_event_with_its_code_and_reason() -> None:
    client = with_fault(after=DELTA, nth=3, do="close", code=1013, text="later")
    assert client.types[-1] == DELTA
    assert client.types.count(DELTA) == 3
    assert client.socket.close_code == 1013


def test_a_drop_closes_without_a_close_frame() -> None:
    client = with_fault(after="response.created", do="drop")
    assert client.types[-1] == "response.created"
    assert client.socket.close_code == 1006


def test_a_fault_may_wait_for_a_client_event() -> None:
    client = with_fault(after="response.create", do="close", code=1008)
    assert client.types == ["session.created", "conversation.item.added", "conversation.item.done"]


def test_events_can_be_swallowed_duplicated_and_replaced() -> None:
    faults = (
        Fault(after="response.output_audio.done", do="swallow"),
        Fault(after="response.content_part.done", do="duplicate"),
        Fault(after="conversation.item.done", nth=2, do="replace", text='{"type": "respon'),
        Fault(after="response.created", do="send", text='{"type": "ping"}'),
    )
    client = converse(one_answer, Script(turns=(TURN,), faults=faults))
    assert "response.output_audio.done" not in client.types
    assert client.types.count("response.content_part.done") == 2
    assert client.types.count("(no JSON)") == 1
    assert client.types[client.types.index("response.created") + 1] == "ping"


def test_a_stall_stops_what_follows_and_later_events_come_all_the_same() -> None:
    async def talk(client: WireClient) -> None:
        started = asyncio.get_running_loop().time()
        await one_answer(client)
        assert asyncio.get_running_loop().time() - started >= 0.2

    fault = Fault(after=DELTA, do="stall", ms=200)
    assert "response.done" in converse(talk, Script(turns=(TURN,), faults=(fault,))).types


def test_a_session_can_expire() -> None:
    async def talk(client: WireClient) -> None:
        await client.end()

    text = '{"type":"error","event_id":"e","error":{"type":"invalid_request_error","code":"session_expired"}}'
    faults = (
        Fault(after="session.created", after_ms=30, do="send", text=text),
        Fault(after="session.created", after_ms=60, do="close", code=1001, text="maximum duration"),
    )
    client = converse(talk, Script(faults=faults))
    assert client.all("error")[0]["error"]["code"] == "session_expired"
    assert client.socket.close_code == 1001


def test_an_error_is_an_event_with_its_code_and_may_end_the_session() -> None:
    async def talk(client: WireClient) -> None:
        await client.end()

    fault = Fault(
        after="session.created", do="error", type="server_error", error="boom", text="Sorry.", code=1011
    )
    client = converse(talk, Script(faults=(fault,)))
    error = client.all("error")[0]["error"]
    assert (error["type"], error["code"], error["message"]) == ("server_error", "boom", "Sorry.")
    assert client.socket.close_code == 1011


def test_an_error_alone_leaves_the_session_open() -> None:
    client = with_fault(after="response.created", do="error", error="rate_limit_exceeded")
    assert client.types[-2:] == ["response.done", "rate_limits.updated"] or "response.done" in client.types
    assert client.all("error")[0]["error"]["code"] == "rate_limit_exceeded"


def test_an_event_may_change_places_with_the_next_one() -> None:
    types = with_fault(after="response.content_part.added", do="late").types
    assert (
        types.index("response.content_part.added")
        == types.index("response.output_audio_transcript.delta") + 1
    )


def test_an_event_may_come_late_and_the_others_do_not_wait_for_it() -> None:
    async def talk(client: WireClient) -> None:
        await one_answer(client)
        await client.until("response.output_audio.done")

    fault = Fault(after="response.output_audio.done", do="late", ms=100)
    types = converse(talk, Script(turns=(TURN,), faults=(fault,))).types
    assert types.index("response.done") < types.index("response.output_audio.done")


def test_half_a_frame_is_an_end_without_the_event() -> None:
    client = with_fault(after=DELTA, nth=2, do="cut")
    assert client.types.count(DELTA) == 1
    assert client.socket.close_code == 1006


def test_dripping_frames_arrive_whole_and_slowly() -> None:
    async def talk(client: WireClient) -> None:
        await client.until("session.created")
        started = asyncio.get_running_loop().time()
        await client.say("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert asyncio.get_running_loop().time() - started >= 0.1
        assert client.all("input_audio_buffer.cleared")

    fault = Fault(after="session.created", do="drip", rate=400, ms=5000)
    converse(talk, Script(faults=(fault,)))


def test_a_client_event_can_be_refused_by_its_id_several_times_and_then_works() -> None:
    async def talk(client: WireClient) -> None:
        for number in range(3):
            await client.say("response.create", event_id=f"mine{number}")
        await client.until("response.done")

    fault = Fault(after="response.create", do="refuse", times=2, type="server_error", error="overloaded")
    client = converse(talk, Script(turns=(TURN,), faults=(fault,)))
    refused = [(event["error"]["event_id"], event["error"]["code"]) for event in client.all("error")]
    assert refused == [("mine0", "overloaded"), ("mine1", "overloaded")]
    assert client.types.count("response.created") == 1


def test_a_restored_item_can_be_refused() -> None:
    client = with_fault(after="conversation.item.create", do="refuse", error="unsupported_content_type")
    assert "conversation.item.added" not in client.types[: client.types.index("response.created")]
    assert client.all("error")[0]["error"]["code"] == "unsupported_content_type"


def test_a_client_event_can_be_swallowed() -> None:
    async def talk(client: WireClient) -> None:
        await client.say("input_audio_buffer.clear")
        await client.say("response.create")
        await client.until("response.done")

    fault = Fault(after="input_audio_buffer.clear", do="swallow")
    assert "input_audio_buffer.cleared" not in converse(talk, Script(turns=(TURN,), faults=(fault,))).types


async def one_utterance(client: WireClient) -> None:
    await client.audio(500, loud=True)
    await client.audio(900)


def test_a_swallowed_response_is_none_and_can_be_asked_for() -> None:
    async def talk(client: WireClient) -> None:
        await one_utterance(client)
        await client.until("conversation.item.done")
        await client.say("response.create")
        await client.until("response.done")

    fault = Fault(after="response.created", do="swallow")
    client = converse(talk, Script(turns=(TURN,), faults=(fault,)))
    assert "error" not in client.types
    assert client.types.count("response.created") == client.types.count("response.done") == 1


def test_speech_without_end_is_ended_by_a_commit() -> None:
    async def talk(client: WireClient) -> None:
        await one_utterance(client)
        await one_utterance(client)
        await client.say("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")

    fault = Fault(after="input_audio_buffer.speech_stopped", do="swallow", times=None)
    client = converse(talk, Script(faults=(fault,)))
    assert client.types.count("input_audio_buffer.speech_started") == 1
    assert "input_audio_buffer.speech_stopped" not in client.types


def test_a_pattern_means_every_event_that_it_fits() -> None:
    types = with_fault(after="response.output_audio*", do="duplicate", times=None).types
    assert (
        types.count("response.output_audio.done") == types.count("response.output_audio_transcript.done") == 2
    )
    assert types.count("response.done") == 1


@pytest.mark.parametrize(
    ("turn", "status", "modality"),
    [
        (Turn(say="Only words.", written=True), "completed", "text"),
        (Turn(say="Some", ms=100, status="failed", error="server_error"), "failed", "output_audio"),
        (Turn(say="Some", ms=100, status="incomplete", error="content_filter"), "incomplete", "output_audio"),
    ],
)
def test_an_answer_can_be_written_or_end_badly(turn: Turn, status: str, modality: str) -> None:
    client = converse(one_answer, Script(turns=(turn,)))
    (done,) = client.all("response.done")
    assert done["response"]["status"] == status
    assert done["response"]["output"][0]["content"][0]["type"].endswith(modality)
    details = done["response"]["status_details"] or {}
    assert turn.error in str(details)


def test_an_answer_can_fail_before_it_says_anything() -> None:
    client = converse(one_answer, Script(turns=(Turn(status="failed", error="insufficient_quota"),)))
    (done,) = client.all("response.done")
    assert done["response"]["output"] == []
    assert done["response"]["status_details"]["error"]["code"] == "insufficient_quota"


# ------------------------------------------------------------------------------------------ upgrades


async def upgrade(server: Server) -> tuple[int, str, dict[str, str]]:
    """What a client is told: status, body and headers; 101 when it got a session."""
    async with aiohttp.ClientSession() as session:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers["Sec-WebSocket-Key"] = "MDEyMzQ1Njc4OWFiY2RlZg=="
        url = server.url.replace("ws:", "http:")
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            body = "" if answer.status == 101 else await answer.text()
            return answer.status, body, dict(answer.headers)


def test_an_upgrade_is_refused_with_headers_and_a_page() -> None:
    portal = Fault(
        after="upgrade", do="refuse", code=200, text="<h1>Log in</h1>", headers={"Content-Type": "text/html"}
    )
    busy = Fault(after="upgrade", nth=2, do="refuse", code=429, headers={"Retry-After": "7"})
    elsewhere = Fault(
        after="upgrade", nth=3, times=2, do="refuse", code=302, headers={"Location": "http://a.example/"}
    )

    async def run() -> list[tuple[int, str, dict[str, str]]]:
        async with running(ServerOptions(script=Script(faults=(portal, busy, elsewhere)))) as server:
            return [await upgrade(server) for _ in range(5)]

    answers = asyncio.run(run())
    assert [status for status, _, _ in answers] == [200, 429, 302, 302, 101]
    assert answers[0][1] == "<h1>Log in</h1>"
    assert answers[0][2]["Content-Type"] == "text/html"
    assert answers[1][2]["Retry-After"] == "7"
    assert answers[2][2]["Location"] == "http://a.example/"


def test_an_upgrade_can_be_slow_or_dropped() -> None:
    slow, dropped = (
        Fault(after="upgrade", do="stall", ms=150),
        Fault(after="upgrade", nth=2, times=2, do="drop"),  # aiohttp asks twice
    )

    async def run() -> None:
        async with running(ServerOptions(script=Script(faults=(slow, dropped)))) as server:
            started = asyncio.get_running_loop().time()
            assert (await upgrade(server))[0] == 101
            assert asyncio.get_running_loop().time() - started >= 0.15
            with pytest.raises(aiohttp.ClientConnectionError):
                await upgrade(server)
            assert (await upgrade(server))[0] == 101

    asyncio.run(run())


def test_upgrades_are_refused_as_scripted_and_then_accepted() -> None:
    async def run() -> list[int]:
        statuses = []
        async with running(ServerOptions(script=Script(refuse=(401, 429)))) as server:
            for _ in range(2):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    async with connected(server):
                        pass
                statuses.append(refused.value.status)
            async with connected(server) as client:
                await client.until("session.created")
        return statuses

    assert asyncio.run(run()) == [401, 429]


def test_a_fault_can_belong_to_one_connection_and_the_script_can_go_on_on_the_next() -> None:
    async def run() -> list[str]:
        fault = Fault(after=DELTA, do="close", connection=1)
        script = Script(turns=(Turn(say="First."), Turn(say="Second.")), faults=(fault,), shared=True)
        said = []
        async with running(ServerOptions(script=script)) as server:
            for _ in range(2):
                async with connected(server) as client:
                    await one_answer(client)
                    said.append(
                        " ".join(e["transcript"] for e in client.all("response.output_audio_transcript.done"))
                    )
        return said

    assert asyncio.run(run()) == ["", "Second."]


def test_one_ping_can_go_unanswered() -> None:
    async def run() -> bytes:
        fault = Fault(after="ping", do="swallow")
        async with (
            running(ServerOptions(script=Script(faults=(fault,)))) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(server.url, autoping=False) as socket,
        ):
            await socket.receive()
            await socket.ping(b"one")
            await socket.ping(b"two")
            answer = await socket.receive()
            assert answer.type is aiohttp.WSMsgType.PONG
            return bytes(answer.data)

    assert asyncio.run(run()) == b"two"


# --------------------------------------------------------------------------------- while the server runs


def test_a_fault_struck_at_once_meets_every_open_connection() -> None:
    async def run() -> None:
        async with (
            running(ServerOptions(script=Script())) as server,
            connected(server) as one,
            connected(server) as two,
        ):
            server.strike(Fault(after="now", do="send", text='{"type":"ping"}', connection=2))
            await two.until("ping")
            server.strike(Fault(after="now", do="close", code=1012, text="restarting"))
            await one.end()
            await two.end()
            assert (one.socket.close_code, two.socket.close_code) == (1012, 1012)
            assert "ping" not in one.types

    asyncio.run(run())


def test_a_struck_fault_counts_over_all_connections_and_happens_once() -> None:
    async def run() -> list[bool]:
        script = Script(turns=(TURN,))
        ended = []
        async with running(ServerOptions(script=script)) as server:
            server.strike(Fault(after="response.created", nth=2, do="drop"))
            for _ in range(3):
                async with connected(server) as client:
                    await one_answer(client)
                    ended.append("response.done" not in client.types)
            assert server.state().faults == []
        return ended

    assert asyncio.run(run()) == [False, True, False]


def test_struck_faults_can_be_forgotten() -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script(turns=(TURN,)))) as server:
            server.strike(Fault(after="upgrade", do="refuse", times=None))
            assert (await upgrade(server))[0] == 503
            assert (await upgrade(server))[0] == 503
            server.calm()
            assert (await upgrade(server))[0] == 101

    asyncio.run(run())


def control(*requests: tuple[str, str, str], headers: dict[str, str] | None = None) -> list[tuple[int, str]]:
    """Requests to the control port of a server with one client: statuses and bodies, then what it heard."""

    async def run() -> list[tuple[int, str]]:
        answers = []
        async with (
            running(ServerOptions(script=Script(turns=(TURN,))), remember=False) as server,
            controlling(server, 0) as port,
            connected(server) as client,
            aiohttp.ClientSession(headers=headers) as session,
        ):
            for method, path, body in requests:
                url = f"http://127.0.0.1:{port}{path}"
                async with session.request(method, url, data=body.encode()) as answer:
                    answers.append((answer.status, await answer.text()))
            await one_answer(client)
            answers.append((client.socket.close_code or 0, " ".join(client.types)))
        return answers

    return asyncio.run(run())


def test_faults_are_struck_through_the_control_port() -> None:
    fault = '{"after": "response.created", "do": "send", "text": "{\\"type\\": \\"hello\\"}"}'
    (status, body), (_, heard) = control(("POST", "/faults", f"[{fault}, {fault}]"))
    assert status == 200
    assert body.count('"response.created"') == 2
    assert heard.count("hello") == 2


def test_the_control_port_takes_faults_back_and_tells_the_state() -> None:
    fault = '{"after": "response.created", "do": "drop"}'
    (_, _), (status, body), (_, state), (_, heard) = control(
        ("POST", "/faults", fault), ("DELETE", "/faults", ""), ("GET", "/state", "")
    )
    assert (status, body) == (200, state)
    assert state == '{"upgrades":1,"accepted":1,"live":[1],"faults":[]}'
    assert "response.done" in heard


def test_the_control_port_closes_connections() -> None:
    (status, _), (code, _) = control(("POST", "/close?code=4000&reason=enough", ""))
    assert (status, code) == (200, 4000)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (("POST", "/faults", '{"after": "x", "do": "burn"}'), "burn"),
        (("POST", "/faults", '{"after": "x", "do": "send", "nth": 0}'), "nth"),
        (("POST", "/close?code=99", ""), "closing code"),
    ],
)
def test_a_wrong_request_to_the_control_port_is_explained(request_: tuple[str, str, str], word: str) -> None:
    (status, body), _ = control(request_)
    assert status == 400
    assert word in body


def test_a_browser_is_not_let_into_the_control_port() -> None:
    (status, _), (_, heard) = control(
        ("POST", "/close?code=1011", ""), headers={"Origin": "http://evil.example"}
    )
    assert status == 403
    assert "response.done" in heard


@pytest.mark.parametrize("pongs", [True, False])
def test_protocol_pings_are_answered_unless_the_script_says_otherwise(pongs: bool) -> None:
    async def run() -> bool:
        async with (
            running(ServerOptions(script=Script(pongs=pongs))) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(server.url, autoping=False) as socket,
        ):
            await socket.receive()
            await socket.ping(b"?")
            await socket.send_str('{"type": "response.cancel"}')
            return (await socket.receive()).type is aiohttp.WSMsgType.PONG

    assert asyncio.run(run()) is pongs


def test_a_wrong_key_is_unauthorized() -> None:
    async def run() -> None:
        async with (
            running(ServerOptions(script=Script(), api_key="right")) as server,
            aiohttp.ClientSession() as session,
        ):
            for scheme in ("Bearer", "Api-Key"):
                headers = {"Authorization": f"{scheme} right"}
                async with session.ws_connect(server.url, headers=headers) as socket:
                    assert (await socket.receive_json())["type"] == "session.created"
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                await session.ws_connect(server.url, headers={"Authorization": "Bearer wrong"})

    asyncio.run(run())


def test_stopping_says_goodbye_to_clients() -> None:
    async def run() -> int | None:
        async with aiohttp.ClientSession() as session:
            async with running(ServerOptions(script=Script())) as server:
                socket = await session.ws_connect(server.url)
                await socket.receive()
                goodbye = asyncio.create_task(socket.receive())
                await asyncio.sleep(0)
            assert (await goodbye).type is aiohttp.WSMsgType.CLOSE
            return socket.close_code

    assert asyncio.run(run()) == 1001


def test_clients_do_not_know_of_each_other() -> None:
    async def run() -> None:
        script = Script(turns=(Turn(say="Mine."),))
        async with running(ServerOptions(script=script)) as server, connected(server) as one:
            async with connected(server) as two:
                await asyncio.gather(one_answer(one), one_answer(two))
            assert one.all("response.output_audio_transcript.done")[0]["transcript"] == "Mine."
            assert two.all("response.output_audio_transcript.done")[0]["transcript"] == "Mine."
            assert [len(connection.conversation) for connection in server.connections] == [2, 2]

    asyncio.run(run())


def test_a_script_is_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(
        '{"turns": [{"heard": "Weather?", "calls": [{"name": "w", "arguments": {"city": "Moscow"}}]},'
        ' {"say": "It snows.", "ms": 1200, "wave": "counter", "delta_bytes": [4801]}],'
        ' "faults": [{"after": "response.done", "do": "close", "code": 1001}], "speech_ms": [[200, 900]]}'
    )
    script = load_script(path)
    assert script.turns[0].calls[0].arguments == {"city": "Moscow"}
    assert script.turns[1] == Turn(say="It snows.", ms=1200, wave="counter", delta_bytes=(4801,))
    assert script.faults == (Fault(after="response.done", do="close", code=1001),)
    assert script.speech_ms == ((200, 900),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "truncated"), ('{"turn": []}', "turn"), ('{"faults": [{"after": "x", "do": "burn"}]}', "burn")],
)
def test_a_wrong_script_is_named_with_its_mistake(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as problem:
        load_script(path)
    assert str(path) in str(problem.value)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_script(tmp_path / "none.json")
