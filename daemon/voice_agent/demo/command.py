"""``voice-agent demo``: from the command line to the exit code and the files that are left behind."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from voice_agent.demo.expectations import judged
from voice_agent.demo.performance import RECOGNITION, Options, Performance, Stopped, performed
from voice_agent.demo.recordings import write_recordings
from voice_agent.demo.screen import Screen, headline
from voice_agent.demo.script import SCRIPTS
from voice_agent.demo.summary import Summary, summarised, write_summary
from voice_agent.errors import VoiceAgentError
from voice_agent.extras import remedy
from voice_agent.telemetry import logs

OUT = Path("demo-out")
DAY_MINUTES = 24 * 60.0

DESCRIPTION = """\
Hold a conversation between you, or a scripted user, and this very daemon.

With a microphone and a loudspeaker you talk to it. Without, a virtual sound card is made, a scripted user
speaks into it in real time, and what leaves the virtual loudspeaker is recorded, measured and judged."""

EPILOG = """\
left behind in DIR:
  conversation.wav   what left the loudspeaker
  room.wav           the user on the left, the agent on the right
  timeline.png       the conversation as a picture
  summary.json       every figure, and what was expected

exit codes: 0 everything expected happened, 1 something did not, 64 wrong usage, 69 something is missing
here (it says what), 73 DIR cannot be written, 130 and 143 stopped by Ctrl-C and by SIGTERM
"""


def main(argv: Sequence[str]) -> int:
    """Hold the conversation; the process's exit code."""
    options = _parsed(argv)
    logs.setup("warning")
    screen = Screen(sys.stdout)
    try:
        _demand_matplotlib()
        options.out.mkdir(parents=True, exist_ok=True)
        performance = asyncio.run(performed(options, screen))
        summary = _left_behind(options, performance)
    except Stopped as stopped:
        screen.line(f"  stopped by {stopped.number.name}")
        return 128 + stopped.number
    except OSError as error:
        if error.filename is None or not Path(error.filename).is_relative_to(options.out):
            raise
        print(f"voice-agent: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return os.EX_CANTCREAT
    screen.summarise(summary)
    screen.files(options.out)
    return os.EX_OK if summary.ok else 1


def _left_behind(options: Options, performance: Performance) -> Summary:
    """Write all the files."""
    from voice_agent.demo.picture import draw  # matplotlib takes its time: only now

    evidence = performance.evidence
    lines = () if performance.live else SCRIPTS[options.speech]
    summary = summarised(
        evidence,
        judged(evidence, lines),
        mode="live" if performance.live else "virtual",
        speech=options.speech,
        recognition=RECOGNITION[options.speech],
    )
    write_summary(options.out / "summary.json", summary)
    write_recordings(options.out, evidence.recording)
    draw(options.out / "timeline.png", evidence, headline(summary))
    return summary


def _demand_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise VoiceAgentError(f"the picture needs matplotlib: {remedy('demo')}")


# ------------------------------------------------------------------------------------------- syntax


class _Parser(argparse.ArgumentParser):
    """With sysexits' code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _parsed(argv: Sequence[str]) -> Options:
    parser = _Parser(
        prog="voice-agent demo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--speech",
        choices=sorted(SCRIPTS),
        default="en",
        help="en: the best that fits into a wheel; light: in under 100 MB; ru: Russian, with recognition told"
        " (default: en)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--live", dest="live", action="store_true", default=None, help="talk to me, whatever devices say"
    )
    mode.add_argument(
        "--virtual",
        dest="live",
        action="store_false",
        help="use the virtual sound card, even if there is one",
    )
    parser.add_argument(
        "--minutes", type=_minutes, default=DAY_MINUTES, metavar="M", help="end a live conversation after M"
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="where the files go (default: %(default)s)"
    )
    found = parser.parse_args(argv)
    return Options(found.speech, found.live, found.out, found.minutes * 60)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= DAY_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes: up to {DAY_MINUTES:.0f}")
    return minutes
