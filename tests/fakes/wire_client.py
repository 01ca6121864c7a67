"""A client of the realtime protocol that says JSON and remembers everything it hears."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from voice_agent.embedded import Script, Server, ServerOptions, running

Json = dict[str, Any]
DEADLINE_S = 10.0
DELTAS = (
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
)


class WireClient:
    """One socket to ``server``. ``heard``: every decoded event; ``ended`` when it is closed."""

    def __init__(self, server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.server = server
        self.socket = socket
        self.heard: list[Json] = []
        self.ended = False
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        async for message in self.socket:
            async with self._news:
                try:
                    self.heard.append(json.loads(message.data))
                except ValueError:
                    self.heard.append({"type": "(no JSON)"})
                self._news.notify_all()
        async with self._news:
            self.ended = True
            self._news.notify_all()

    async def say(self, kind: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def audio(self, ms: int, *, loud: bool = False, rate: int = 24000) -> None:
        """Append ``ms`` of sound in pieces of 100 ms."""
        count = rate * ms // 1000
        pcm = (b"\x00\x20\x00\xe0" if loud else bytes(4)) * (count // 2)
        step = rate // 10 * 2
        for at in range(0, len(pcm), step):
            piece = base64.b64encode(pcm[at : at + step]).decode()
            await self.say("input_audio_buffer.append", audio=piece)

    async def wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(condition)

    async def until(self, kind: str, nth: int = 1) -> Json:
        """The ``nth`` event of a type, now or when it comes."""
        await self.wait(lambda: self.types.count(kind) >= nth or self.ended)
        found = self.all(kind)
        assert len(found) >= nth, f"no {kind} #{nth} in {self.types}"
        return found[nth - 1]

    async def end(self) -> None:
        """Wait until the server closes the socket."""
        await self.wait(lambda: self.ended)

    def all(self, kind: str) -> list[Json]:
        return [event for event in self.heard if event["type"] == kind]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.heard]

    def pcm(self) -> bytes:
        """All audio, in order."""
        return b"".join(base64.b64decode(e["delta"]) for e in self.all("response.output_audio.delta"))


@asynccontextmanager
async def connected(server: Server, query: str = "") -> AsyncIterator[WireClient]:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}?model=test{query}"
        async with session.ws_connect(url, max_msg_size=0) as socket:
            client = WireClient(server, socket)
            listening = asyncio.create_task(client.listen())
            try:
                await client.until("session.created")
                yield client
            finally:
                await socket.close()
                await listening


Talk = Callable[[WireClient], Awaitable[None]]


def converse(
    talk: Talk,
    script: Script | None = None,
    *,
    dialect: str = "openai",
    strict: bool = True,
    pace: float | None = None,
) -> WireClient:
    """Hold one conversation with a scripted server; returns the client with all it heard."""

    async def run() -> WireClient:
        options = ServerOptions(script=script or Script(), dialect=dialect, strict=strict, pace=pace)
        async with running(options) as server, connected(server) as client:
            await talk(client)
        return client

    return asyncio.run(run())


async def ask(client: WireClient, text: str) -> None:
    """A user's text and the wish for an answer."""
    content = [{"type": "input_text", "text": text}]
    await client.say("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    await client.say("response.create")


async def settings(client: WireClient, **session: object) -> Json:
    """Update the session and return the effective one."""
    before = client.types.count("session.updated")
    await client.say("session.update", session={"type": "realtime", **session})
    effective: Json = (await client.until("session.updated", before + 1))["session"]
    return effective


def shape(types: list[str]) -> list[str]:
    """The order of events without what may fall anywhere: transcription, quota, counts of deltas."""
    kept: list[str] = []
    for kind in types:
        if "input_audio_transcription" in kind or kind == "rate_limits.updated":
            continue
        name = "(deltas)" if kind in DELTAS else kind
        if not kept or kept[-1] != name or not name.endswith(("delta", "(deltas)")):
            kept.append(name)
    return kept
