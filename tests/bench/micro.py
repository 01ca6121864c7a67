"""Ring, playout and codec against plain copies and plain ``json`` + ``base64`` of the same bytes."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from time import perf_counter

import numpy as np

from tests.bench.figures import Ratio
from voice_agent.audio.pcm import samples_in, silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.audio.speaker import Speaker
from voice_agent.realtime.codec import decode_server, encode
from voice_agent.realtime.events import AppendAudio, AudioDelta

RATE = 24_000
BLOCKS = 10
BLOCK = RATE // 100
DELTA = BLOCKS * BLOCK
FRAME_PCM = bytes(range(1, 241)) * 4
"""20 ms."""
DELTA_PCM = FRAME_PCM * 5
"""100 ms."""

ROUNDS = 9
ROUND_S = 0.02

Work = Callable[[], object]


def micro_ratios() -> dict[str, Ratio]:
    """Ours to the plain way, seconds a call; name -> ratio."""
    return {
        "ring_ratio_vs_memcpy": compare(*ring_and_copies()),
        "playout_ratio_vs_memcpy": compare(*playout_and_copies()),
        "playout_at_half_volume_ratio_vs_memcpy": compare(*playout_and_copies(volume=0.5)),
        "playout_above_full_volume_ratio_vs_memcpy": compare(*playout_and_copies(volume=2.0)),
        "playout_with_tap_ratio_vs_memcpy": compare(*playout_and_copies(tapped=True)),
        "encode_ratio_vs_json_base64": compare(*encoders()),
        "decode_ratio_vs_json_base64": compare(*decoders()),
    }


def compare(ours: Work, plain: Work) -> Ratio:
    """Short rounds in turns, so that both meet the same machine."""
    times = max(1, int(ROUND_S / seconds_of(plain, 100)))
    pairs = [(seconds_of(ours, times), seconds_of(plain, times)) for _ in range(ROUNDS)]
    return Ratio([ours_s for ours_s, _ in pairs], [plain_s for _, plain_s in pairs])


def seconds_of(work: Work, times: int) -> float:
    began = perf_counter()
    for _ in range(times):
        work()
    return (perf_counter() - began) / times


def ring_and_copies() -> tuple[Work, Work]:
    """One delta in, ten blocks out."""
    ring, samples, out = SampleRing(120 * RATE), samples_in(DELTA_PCM), silent_samples(BLOCK)
    store, delta = np.zeros(DELTA, np.int16), np.frombuffer(DELTA_PCM, np.int16)
    block = np.zeros(BLOCK, np.int16)
    pieces = [store[at : at + BLOCK] for at in range(0, DELTA, BLOCK)]

    def ours() -> None:
        ring.write(samples)
        for _ in range(BLOCKS):
            ring.read_into(out)

    def plain() -> None:
        np.copyto(store, delta)
        for piece in pieces:
            np.copyto(block, piece)

    return ours, plain


def playout_and_copies(*, volume: float = 1.0, tapped: bool = False) -> tuple[Work, Work]:
    """One delta in, and ten callbacks."""
    speaker, out = Speaker(RATE), silent_samples(DELTA)
    speaker.set_volume(volume)
    tap = speaker.tap(1.0) if tapped else None
    speaker.play(DELTA_PCM, starts=True)  # what is ahead is not held back

    def ours() -> None:
        speaker.play(DELTA_PCM)
        for _ in range(BLOCKS):
            speaker.callback(None, BLOCK, {}, 0)
        if tap is not None:
            tap.read_into(out)

    return ours, ring_and_copies()[1]


def encoders() -> tuple[Work, Work]:
    """One frame of 20 ms to the bytes that leave."""

    def plain() -> bytes:
        audio = b64encode(FRAME_PCM).decode()
        return json.dumps({"type": "input_audio_buffer.append", "audio": audio}).encode()

    return lambda: encode(AppendAudio(audio=FRAME_PCM)), plain


def decoders() -> tuple[Work, Work]:
    """One delta of 100 ms, from the text that came to its samples."""
    event = AudioDelta(event_id="event_1", response_id="resp_1", item_id="item_1", delta=DELTA_PCM)
    text = encode(event).decode()
    return lambda: decode_server(text), lambda: b64decode(json.loads(text)["delta"])
