"""Brings the parts together: devices, server, voices, conversation, and an end by signal that leaves nothing.

A signal cancels whatever is going on, and every part cleans up after itself. Only Ctrl-C in a live
conversation is its natural end: what was said until then is summed up.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

from voice_agent.demo import live, virtual
from voice_agent.demo.probe import missing_device
from voice_agent.demo.screen import Screen
from voice_agent.demo.script import SCRIPTS, Line
from voice_agent.demo.server import ServerAddress, serving
from voice_agent.demo.stage import Evidence
from voice_agent.demo.voices import synthesised
from voice_agent.formats import BYTES_PER_SAMPLE, samples_to_s
from voice_agent.lab.build import build_plugin

SIGNALS = (signal.SIGINT, signal.SIGTERM)
RECOGNITION = {"en": "moonshine", "light": "pocketsphinx", "ru": "told"}
"""What understands the user."""

TOLD = (
    "Russian, honestly. Real: voice detection, turn-taking, interruption, the dialogue rules, the tools,"
    " synthesis. Not real: recognition. No package registry brings a small Russian model, so the server is"
    " told the words of each utterance from a sheet, in order, when it hears that one has ended."
)
RHVOICE = "RHVoice, if it has a Russian voice, else espeak-ng"
ESPEAK = "espeak-ng, a formant synthesiser; Debian's non-free rhvoice and rhvoice-russian sound better"
HEADPHONES = (
    "Its own echo is cancelled; in the first seconds, until that works, it does not hear you while it speaks."
    " What you say is recorded into room.wav on this machine and goes nowhere else."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. ``live`` is ``None`` when the demo is to find out."""

    speech: str
    live: bool | None
    out: Path
    limit_s: float


class Performance(NamedTuple):
    """A conversation that was held."""

    live: bool
    evidence: Evidence


class Stopped(Exception):
    """A signal ended the demo early."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


async def performed(options: Options, screen: Screen) -> Performance:
    """Hold one conversation. Raises ``Stopped`` if a signal comes in between."""
    ending = _Ending()
    task = asyncio.create_task(_perform(options, screen, ending))
    ending.watch(task)
    try:
        return await task
    except asyncio.CancelledError:
        if ending.number is None:
            raise
        raise Stopped(ending.number) from None


class _Ending:
    """Waits for signals: the first is obeyed in good order, a second one as the system does."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number: signal.Signals | None = None
        self.natural = False
        """Whether Ctrl-C is how this is meant to end."""

    def watch(self, task: "asyncio.Task[Performance]") -> None:
        loop = asyncio.get_running_loop()

        def on_signal(number: signal.Signals) -> None:
            for each in SIGNALS:
                loop.remove_signal_handler(each)
            self.number = number
            self.asked.set()
            if not (self.natural and number is signal.SIGINT):
                task.cancel()

        for each in SIGNALS:
            loop.add_signal_handler(each, on_signal, each)


async def _perform(options: Options, screen: Screen, ending: _Ending) -> Performance:
    screen.line(f"voice-agent demo, speech: {options.speech}", "bold")
    if options.speech == "ru":
        screen.note(TOLD)
        screen.progress("voices", RHVOICE if which("RHVoice-test") else ESPEAK)
    is_live = await decided(options.live, screen)
    lines = SCRIPTS[options.speech]
    with TemporaryDirectory(prefix="voice-agent-demo-") as scratch:
        arguments = _server_arguments(options.speech, lines, Path(scratch))
        if is_live:
            return Performance(live=True, evidence=await _live(arguments, options, screen, ending))
        return Performance(live=False, evidence=await _virtual(arguments, options.speech, screen))


async def decided(wanted: bool | None, screen: Screen) -> bool:
    """Whether a person is to talk; says why not."""
    if wanted is False:
        screen.progress("devices", "a virtual sound card, as asked")
        return False
    missing = await missing_device() if wanted or sys.stdin.isatty() else "nobody at a terminal"
    if not missing:
        screen.progress("devices", "microphone and loudspeaker work: it is you who talks")
        return True
    if wanted:
        screen.progress("devices", f"{missing}; trying all the same")
        return True
    screen.progress(
        "devices", f"no sound card here ({missing}): a virtual one plays and records, in real time"
    )
    return False


def _server_arguments(speech: str, lines: Sequence[Line], scratch: Path) -> list[str]:
    if speech != "ru":
        return ["--speech", speech]
    sheet = scratch / "sheet.txt"
    sheet.write_text("".join(f"{line.text}\n" for line in lines))
    return ["--speech", speech, "--sheet", str(sheet)]


async def _virtual(arguments: Sequence[str], speech: str, screen: Screen) -> Evidence:
    build_plugin()  # what is missing for it had better be said before models are loaded
    lines = SCRIPTS[speech]
    began_s = monotonic()
    voices = asyncio.create_task(synthesised(speech, [line.text for line in lines], virtual.RATE))
    try:
        async with serving(arguments, lambda text: screen.progress("server", text)) as server:
            _say_ready(screen, server, monotonic() - began_s)
            spoken = await voices
            seconds = samples_to_s(sum(map(len, spoken)) // BYTES_PER_SAMPLE, virtual.RATE)
            screen.progress("user", f"{len(spoken)} utterances synthesised in advance, {seconds:.0f} s")
            return await virtual.converse(server, lines, spoken, screen)
    finally:
        voices.cancel()
        with suppress(asyncio.CancelledError):
            await voices


async def _live(arguments: Sequence[str], options: Options, screen: Screen, ending: _Ending) -> Evidence:
    began_s = monotonic()
    async with serving(arguments, lambda text: screen.progress("server", text)) as server:
        _say_ready(screen, server, monotonic() - began_s)
        screen.note(HEADPHONES)
        in_order = " (in this order and these words)" if options.speech == "ru" else ""
        screen.line(f"  Try{in_order}, and end with Ctrl-C:")
        for line in SCRIPTS[options.speech]:
            screen.line(f"    {line.text}{_when(line)}")
        ending.natural = True
        return await live.converse(server, screen, ending.asked, options.limit_s)


def _when(line: Line) -> str:
    if line.stops_ring:
        return "   <- when the timer rings"
    return "   <- while it is speaking" if line.interrupts_after_s is not None else ""


def _say_ready(screen: Screen, server: ServerAddress, seconds: float) -> None:
    screen.progress("server", f"ready after {seconds:.1f} s: process {server.pid}, {server.url}")
    screen.progress("daemon", f"the real one, in this process ({os.getpid()})")
