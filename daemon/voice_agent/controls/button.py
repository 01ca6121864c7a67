"""A button that the kernel knows as an input device: a USB button or pedal, a GPIO line (overlay gpio-key).

The kernel hands out records of one size (`struct input_event`, linux/input.h): a time, then type, code and
value. Type 1 is a key; value 1 is down, 0 is up, 2 repeats by itself. The device is grabbed, so that a pedal
that calls itself a keyboard types nothing into a console. One that is missing is looked for, for ever.
"""

import asyncio
import fcntl
import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from voice_agent.backoff import Backoff
from voice_agent.controls.panel import Refused
from voice_agent.repeats import Repeats

log = logging.getLogger(__name__)

EVENT = struct.Struct("llHHi")  # native: long is what the kernel's time has, on 32 and on 64 bit
EV_KEY = 1
UP, DOWN = 0, 1
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
READ_EVENTS = 64
SETTLED_S = 60.0
"""A button that has been there for so long is missed anew."""


class Pressed(Protocol):
    """What a button does."""

    def press(self) -> None:
        """It goes down."""

    def release(self) -> None:
        """It comes up."""


class Button:
    """One key of one input device; ``run`` is a task. ``code`` 0: any key."""

    def __init__(self, device: Path, code: int, controls: Pressed, *, backoff: Backoff | None = None) -> None:
        self._device = device
        self._code = code
        self._controls = controls
        self._backoff = backoff or Backoff(0.5, 30.0)
        self._news = Repeats(log)

    async def run(self) -> None:
        """Obey the button, for ever."""
        while True:
            try:
                await self._obey()
            except OSError as error:
                reason = error.strerror or str(error)
                text = "no button: is it plugged in, and is the daemon in the group input?"
                self._news.tell(reason, text, {"device": str(self._device), "reason": reason})
            await asyncio.sleep(self._backoff.next_delay())

    async def _obey(self) -> None:
        """Until the device goes; raises ``OSError`` then."""
        descriptor = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        down = False
        try:
            _grab(descriptor)
            self._news.tell("there", "a button is there", {"device": str(self._device)}, level=logging.INFO)
            self._news.over(within_s=SETTLED_S)
            self._backoff.succeeded()
            while True:
                await _readable(descriptor)
                for down in self._pushes(os.read(descriptor, READ_EVENTS * EVENT.size)):
                    self._push(down=down)
        finally:
            os.close(descriptor)
            if down:  # pulled out while it was pressed
                self._controls.release()

    def _pushes(self, events: bytes) -> Iterator[bool]:
        """For each push and release of the key: whether it goes down."""
        if not events:
            raise OSError("the device has gone")
        whole = len(events) - len(events) % EVENT.size
        for _, _, kind, code, value in EVENT.iter_unpack(events[:whole]):
            if kind == EV_KEY and self._code in (0, code) and value in (UP, DOWN):
                yield value == DOWN

    def _push(self, *, down: bool) -> None:
        if not down:
            self._controls.release()
            return
        try:
            self._controls.press()
        except Refused as error:  # the room was told by a sound
            log.info("a button was pressed in vain", extra={"reason": str(error)})


def _grab(descriptor: int) -> None:
    """Have the device alone; something that cannot be grabbed is read like this."""
    try:
        fcntl.ioctl(descriptor, EVIOCGRAB, 1)
    except OSError as error:
        log.debug("the button is not ours alone", extra={"reason": str(error)})


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
