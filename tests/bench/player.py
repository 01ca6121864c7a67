"""The floors: processes that only move audio. No websocket, no events, no decisions.

    python -m tests.bench.player floor     full duplex, with plain json and base64 of the frames both ways
    python -m tests.bench.player PORT      plays what comes over a plain socket: length (0: forget all), bytes

They import nothing of the daemon. ``ready`` on stdout means that the streams are running.
"""

import json
import socket
import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from itertools import count
from queue import SimpleQueue

import pyaudio

RATE = 24_000
BLOCK = RATE // 100
"""Samples of one output block, as the daemon's: 10 ms."""
FRAME = RATE // 50
"""Samples of one input frame, as the daemon's: 20 ms."""
FRAMES_PER_DELTA = 5
LEAD_DELTAS = 10
"""What is queued ahead: a machine that stands still for a moment must not starve the loudspeaker."""
HEADER = struct.Struct("!I")

Answer = tuple[bytes | None, int]


class Player:
    """A callback that takes its blocks from the head of a buffer."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def __call__(self, _in: bytes | None, frames: int, _time: Mapping[str, float], _status: int, /) -> Answer:
        block = bytes(self.buffer[: 2 * frames])
        del self.buffer[: 2 * frames]
        return block.ljust(2 * frames, b"\0"), pyaudio.paContinue


class Recorder:
    """A callback that hands every frame on."""

    def __init__(self) -> None:
        self.frames: SimpleQueue[bytes] = SimpleQueue()

    def __call__(self, brought: bytes, _n: int, _time: Mapping[str, float], _status: int, /) -> Answer:
        self.frames.put(brought)
        return None, pyaudio.paContinue


def a_delta() -> bytes:
    """100 ms of answer as it arrives, with the fields that a server sends."""
    ids = {"event_id": f"event_{0:021}", "response_id": f"resp_{0:021}", "item_id": f"item_{0:021}"}
    pcm = struct.pack("<h", 4000) * FRAME * FRAMES_PER_DELTA
    places = {"output_index": 0, "content_index": 0, "delta": b64encode(pcm).decode()}
    return json.dumps({"type": "response.output_audio.delta", **ids, **places}).encode()


def pass_through(player: Player, recorder: Recorder) -> None:
    """Every frame into JSON and base64 as it comes, and for every five of them one delta out of both."""
    delta = a_delta()
    for _ in range(LEAD_DELTAS):
        player.buffer += b64decode(json.loads(delta)["delta"])
    for number in count():
        audio = b64encode(recorder.frames.get()).decode()
        json.dumps({"type": "input_audio_buffer.append", "audio": audio}).encode()
        if number % FRAMES_PER_DELTA == 0:
            player.buffer += b64decode(json.loads(delta)["delta"])


def play_socket(player: Player, port: int) -> None:
    """Append what comes, or forget everything, until the other side closes."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        stream = connection.makefile("rb")
        while header := stream.read(HEADER.size):
            (length,) = HEADER.unpack(header)
            if length:
                player.buffer += stream.read(length)
            else:
                player.buffer.clear()


def main(what: str) -> None:
    sound, player, recorder = pyaudio.PyAudio(), Player(), Recorder()
    form = {"rate": RATE, "channels": 1, "format": pyaudio.paInt16}
    streams = [sound.open(**form, output=True, frames_per_buffer=BLOCK, stream_callback=player)]
    if what == "floor":
        streams.append(sound.open(**form, input=True, frames_per_buffer=FRAME, stream_callback=recorder))
    print("ready", flush=True)
    if what == "floor":
        pass_through(player, recorder)
    else:
        play_socket(player, int(what))
    for stream in streams:
        stream.close()
    sound.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
