"""What goes wrong on purpose: each fault strikes where and when its script says."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.wire_client import WireClient, ask, connected, converse
from voice_agent.embedded import Fault, Script, ServerOptions, Turn, load_script, running
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
