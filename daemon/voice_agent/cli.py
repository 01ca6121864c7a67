"""The command line, and the only place that ends the process.

Every command imports what it needs when it runs, so that ``--help`` answers at once. Exit codes are those of
sysexits.h: 64 wrong usage, 66 a file that cannot be read, 69 something needed is not available, 70 a bug or a
part that hangs beyond cure, 75 an event loop that stands still, 78 a wrong configuration.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, redirect_stdout
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from voice_agent import __version__, extras
from voice_agent.errors import ConfigError, Unreadable, VoiceAgentError

if TYPE_CHECKING:
    from voice_agent.audio.names import Device, Direction
    from voice_agent.audio.portaudio import PortAudio

CONFIG_PATH = Path("/etc/voice-agent/config.toml")
PORT = 8765

EXAMPLES = """\
examples:
  voice-agent config > config.toml      a file to begin with; then edit it, and
  voice-agent check config.toml         see whether it is right
  VOICE_AGENT_API_KEY=... voice-agent run --config config.toml
  voice-agent serve & voice-agent run --config config.toml
                                        talk to your own machine; no key is needed
  voice-agent doctor                    see whether this device will do
  voice-agent status                    see how the daemon is that runs
  voice-agent mute                      close the microphone of the daemon that runs
"""

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    sys.excepthook = _end_on_bug
    _say_all()
    extras.look_in()
    words = sys.argv[1:] if argv is None else argv
    # These have a syntax of their own, which is not worth importing for anything else.
    own, rest = (words[:1], words[1:]) if words[:1] in (["demo"], ["doctor"]) else (words, [])
    arguments = _parser().parse_args(own, argparse.Namespace(rest=rest))
    try:
        code: int = arguments.command(arguments)
    except VoiceAgentError as error:
        print(f"voice-agent: {error}", file=sys.stderr)
        return _exit_code(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has gone, as in `voice-agent config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return code


def _say_all() -> None:
    """A name that somebody has said, in a terminal without its letters: better odd than not at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _exit_code(error: VoiceAgentError) -> int:
    match error:
        case Unreadable():
            return os.EX_NOINPUT
        case ConfigError():
            return os.EX_CONFIG
        case _:
            return os.EX_UNAVAILABLE


def _end_on_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> NoReturn:
    """What nobody raised on purpose: its traceback goes where the log goes, and the exit code says bug."""
    log.critical("this is a bug in voice-agent", exc_info=(kind, error, trace))
    raise SystemExit(os.EX_SOFTWARE)


# ----------------------------------------------------------------------------------------- commands


def _run(arguments: argparse.Namespace) -> int:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the button, which may be pressed before anybody listens
    import faulthandler

    from voice_agent.foreground import has_terminal, run_in_foreground

    if not has_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload: the file is going to be read anyway

    from voice_agent.trust import changed, cleared

    doubts = list(cleared(os.environ))  # before anything makes a secure connection possible

    from voice_agent import config, service
    from voice_agent.judging import careless, needed_key
    from voice_agent.supervision import LoopGuard
    from voice_agent.telemetry import logs, opening

    settings = config.load(arguments.config)
    service.set_log(settings.log)
    logs.catch_strays()
    faulthandler.enable(file=2)  # a crash in a C library would otherwise leave nothing to look at
    key = needed_key(settings)
    if key is not None and key.warning:
        log.warning(key.warning)
    for note in changed(os.environ):
        log.info(note)
    for doubt in (*doubts, *careless(settings)):
        log.warning(doubt)
    if settings.metrics.enabled:
        opening.examine(settings.metrics)
    # Standard output is nobody's: what a tool or a library prints would only be noise in the journal.
    with (
        LoopGuard() as guard,
        Path(os.devnull).open("w", encoding="utf-8", errors="replace") as nowhere,
        redirect_stdout(nowhere),
    ):
        run_in_foreground(lambda stop: service.run(settings, arguments.config, stop=stop, beat=guard.beat))
    return os.EX_OK


def _check(arguments: argparse.Namespace) -> int:
    from voice_agent import config
    from voice_agent.audio.cues import faults
    from voice_agent.credentials import find_key
    from voice_agent.judging import careless, judged
    from voice_agent.telemetry import opening
    from voice_agent.tools.doubts import tool_doubts
    from voice_agent.tools.mcp.doubts import doubts

    try:
        settings = judged(arguments.file)
    except config.InvalidConfig as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        print(f"{arguments.file}: {count} problem{'s' if count > 1 else ''}", file=sys.stderr)
        return os.EX_CONFIG
    key = find_key(settings.provider.key_file)
    where = f"key from {key.source}" if key is not None else "no key found here"
    print(f"{arguments.file}: no problems (provider {settings.provider.kind}, {where})")
    if key is not None and key.warning:
        print(f"warning: {key.warning}", file=sys.stderr)
    if settings.cues.enabled and settings.cues.folder:
        for fault in faults(Path(settings.cues.folder)):
            print(f"warning: {fault}", file=sys.stderr)
    wanted = settings.tools
    doubtful = (
        *tool_doubts(wanted.http, wanted.command, wanted.provider),
        *doubts(wanted.mcp),
        *opening.doubts(settings.metrics),
        *careless(settings),
    )
    for doubt in doubtful:
        print(f"warning: {doubt}", file=sys.stderr)
    return os.EX_OK


def _config(_: argparse.Namespace) -> int:
    from voice_agent import config

    print(config.template(), end="")
    return os.EX_OK


def _devices(_: argparse.Namespace) -> int:
    from voice_agent.audio.portaudio import Direction, PortAudio

    portaudio = PortAudio()
    try:
        microphones = _device_lines(portaudio, Direction.INPUT)
        loudspeakers = _device_lines(portaudio, Direction.OUTPUT)
    finally:
        portaudio.terminate()
    print("\n".join(["Microphones, for audio.input.device:", *(microphones or NO_DEVICE)]))
    print("\n".join(["Loudspeakers, for audio.output.device:", *(loudspeakers or NO_DEVICE)]))
    if not microphones and not loudspeakers:
        return os.EX_UNAVAILABLE
    print(
        '* is what "default" means. A part of a name will do, if no other name has it, or hw:..., or usb:...'
    )
    return os.EX_OK


NO_DEVICE = (
    "    none. Is it plugged in? Do `arecord -l` and `aplay -l` list it? Are you in the group `audio`?",
)


def _device_lines(portaudio: "PortAudio", direction: "Direction") -> list[str]:
    from voice_agent.audio.portaudio import DEFAULT
    from voice_agent.errors import DeviceUnavailable

    try:
        default = portaudio.find(direction, DEFAULT).number
    except DeviceUnavailable:
        default = -1
    found = [device for device in portaudio.devices() if device.has(direction)]
    return [_device_line(device, direction, is_default=device.number == default) for device in found]


def _device_line(device: "Device", direction: "Direction", *, is_default: bool) -> str:
    """Name, channels, native rate, and what else it may be called."""
    shape = f"{device.channels(direction):3} ch  {device.rate:6} Hz"
    socket = f"  usb:{device.usb}" if device.usb else ""
    mark = "*" if is_default else " "
    return f"  {mark} {device.bare_name:<40} {shape}  {device.alsa_id or device.host_api}{socket}"


def _serve(arguments: argparse.Namespace) -> int:
    from voice_agent.foreground import run_in_foreground
    from voice_agent.telemetry import logs

    logs.setup()
    try:
        run_in_foreground(partial(_serving, arguments))
    except OSError as error:
        place = f"{arguments.host}:{arguments.port}"
        raise VoiceAgentError(f"cannot listen on {place}: {error.strerror}") from error
    return os.EX_OK


async def _serving(arguments: argparse.Namespace, stop: asyncio.Event) -> None:
    from voice_agent import embedded

    options = embedded.ServerOptions(
        host=arguments.host,
        port=arguments.port,
        dialect=arguments.dialect,
        speech=arguments.speech,
        sheet=embedded.load_sheet(arguments.sheet) if arguments.sheet else (),
        script=embedded.load_script(arguments.script) if arguments.script else None,
        strict=arguments.strict,
    )
    say = partial(print, flush=True)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded.running(options, progress=say, remember=False))
        if arguments.control is not None:
            port = await stack.enter_async_context(embedded.controlling(server, arguments.control))
            say(f"faults at http://127.0.0.1:{port}/faults")
        say(f"listening on {server.url}")
        await stop.wait()


def _demo(arguments: argparse.Namespace) -> int:
    from voice_agent import demo

    return demo.main(arguments.rest)


def _doctor(arguments: argparse.Namespace) -> int:
    from voice_agent.trust import cleared

    for doubt in cleared(os.environ):
        print(f"warning: {doubt}", file=sys.stderr)

    from voice_agent import doctor

    return doctor.main(arguments.rest, CONFIG_PATH)


# ------------------------------------------------------------------------------------------- syntax


class _Parser(argparse.ArgumentParser):
    """Help laid out as written, and sysexits' code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    from voice_agent.controls import command, status, tools

    parser = _Parser(
        prog="voice-agent",
        description="A headless voice daemon: one realtime session with a speech model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voice-agent {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser(
        "run",
        help="be the daemon, in the foreground, until SIGTERM or Ctrl-C",
        description="Be the daemon, in the foreground, until SIGTERM or Ctrl-C. The key is looked for in the"
        " systemd credential voice-agent.api-key, in provider.key_file and in VOICE_AGENT_API_KEY.",
        epilog="example: VOICE_AGENT_API_KEY=... voice-agent run --config config.toml",
    )
    run.add_argument("--config", type=Path, default=CONFIG_PATH, metavar="FILE", help="default: %(default)s")
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check",
        help="say everything that is wrong with a configuration file",
        description="Say everything that is wrong with a configuration file, and how to mend it. Ends with 78"
        " if there is anything.",
        epilog="example: voice-agent check new.toml && mv new.toml /etc/voice-agent/config.toml",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(command=_check)

    config = commands.add_parser(
        "config",
        help="print a configuration file with every setting explained",
        epilog="example: voice-agent config > config.toml",
    )
    config.set_defaults(command=_config)

    devices = commands.add_parser(
        "devices",
        help="list microphones and loudspeakers",
        epilog='example: voice-agent devices, then in the configuration: [audio.input] device = "USB"',
    )
    devices.set_defaults(command=_devices)

    doctor = commands.add_parser("doctor", help="examine this device and say what would cure it")
    doctor.set_defaults(command=_doctor)

    status.describe(commands.add_parser("status", help=status.HELP))
    tools.describe(commands.add_parser("tools", help=tools.HELP), CONFIG_PATH)
    for name in command.NAMES:
        command.describe(name, commands.add_parser(name, help=command.NAMES[name]))
    _add_serve(commands.add_parser("serve", help="be a realtime server on this machine, to try things with"))

    demo = commands.add_parser("demo", help="hold a conversation with that server and show it")
    demo.set_defaults(command=_demo)
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.description = "A local server of the realtime protocol, with models or with a script."
    serve.epilog = "example: voice-agent serve --speech light & voice-agent run --config local.toml"
    serve.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=_port, default=PORT, help="port to listen on; 0 takes any free one")
    serve.add_argument("--dialect", choices=["openai", "yandex"], default="openai", help="whose manners")
    serve.add_argument(
        "--speech", choices=["en", "light", "ru"], default="en", help="which models hear and speak"
    )
    serve.add_argument(
        "--sheet", type=Path, metavar="FILE", help="what will be said, one utterance a line (ru)"
    )
    serve.add_argument("--script", type=Path, metavar="FILE", help="JSON script to follow, without any model")
    serve.add_argument(
        "--control", type=_port, metavar="PORT", help="port on this machine where faults are asked for"
    )
    serve.add_argument(
        "--strict", action=argparse.BooleanOptionalAction, default=True, help="refuse what providers refuse"
    )
    serve.set_defaults(command=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)
