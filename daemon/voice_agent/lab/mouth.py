"""Speaking into a room: utterances are written to ``mic.fifo`` by one background thread, one after another.

The room takes samples at the pace of its own clock and only while the microphone is running, so a mouth may
have to wait; whoever asked it to speak does not.
"""

import os
import select
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from voice_agent.errors import LabUnavailable
from voice_agent.lab.events import read_events

PIECE_BYTES = 4096
LOOK_S = 0.01
"""How often the mouth looks whether the room has taken what was said."""
PATIENCE_S = 30.0
"""How long an utterance waits for somebody to open the microphone."""


class Spoken(NamedTuple):
    """Where an utterance stands in the microphone's recording, in samples: ``[begin, end)``.

    On a plain clock that range may hold silence which the speaker's lateness caused.
    """

    begin: int
    end: int


class Mouth:
    """Says one utterance after another. ``say`` returns at once; the future knows where it was heard."""

    def __init__(self, fifo: Path, events_log: Path) -> None:
        self._fifo = fifo
        self._events_log = events_log
        self._closed = threading.Event()
        self._waiting: SimpleQueue[tuple[bytes, Future[Spoken]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def say(self, pcm: bytes) -> Future[Spoken]:
        """Queue PCM16 at the microphone's rate. The future fails with LabUnavailable if nobody listens."""
        future: Future[Spoken] = Future()
        self._waiting.put((pcm, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._speak_for_ever, name="lab-mouth", daemon=True)
            self._thread.start()
        return future

    def close(self) -> None:
        """Fall silent; what was not yet heard fails."""
        self._closed.set()

    def _speak_for_ever(self) -> None:
        while True:
            pcm, future = self._waiting.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._speak(pcm))
            except (OSError, LabUnavailable) as error:
                future.set_exception(error)

    def _speak(self, pcm: bytes) -> Spoken:
        before = len(self._spoken())
        fifo = self._open()
        try:
            self._write(fifo, memoryview(pcm))
        finally:
            os.close(fifo)
        while len(self._spoken()) == before:
            self._pause("stopped listening")
        return self._spoken()[before]

    def _open(self) -> int:
        """A pipe without a reader refuses a writer (ENXIO): nobody has opened the card yet."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                self._pause("never listened")
        raise LabUnavailable(f"nobody has opened the virtual microphone for {PATIENCE_S:.0f} s")

    def _write(self, fifo: int, rest: memoryview) -> None:
        while rest:
            _, writable, _ = select.select([], [fifo], [], LOOK_S)
            if writable:
                rest = rest[os.write(fifo, rest[:PIECE_BYTES]) :]
            elif self._closed.is_set():
                raise LabUnavailable("the virtual card was closed before all was said")

    def _pause(self, what: str) -> None:
        if self._closed.wait(LOOK_S):
            raise LabUnavailable(f"the virtual card was closed; the room {what}")

    def _spoken(self) -> list[Spoken]:
        """The utterances that the room has heard to their end."""
        events = read_events(self._events_log)
        begins = [event.position for event in events if event.event == "speech"]
        ends = [event.position for event in events if event.event == "quiet"]
        return [Spoken(begin, end) for begin, end in zip(begins, ends, strict=False)]
