"""Prometheus, Alertmanager and the boards beside a voice agent, until Ctrl-C. ``make observe``.

Whatever daemon serves its metrics at the address is looked at, as the demo does; if none does, one is started
in a virtual room, with a server that tells stories. The boards are drawn by Grafana's panel components.
"""

import argparse
import asyncio
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import time

from tests.grafana.gallery import Gallery, Moment, bundled
from tests.observe.hasty import LABELS
from tests.observe.programs import Missing
from tests.observe.stack import Stack, Told, observing
from tests.system.harness import Daemon, daemon, loud
from voice_agent.embedded import Script, ServerOptions, Turn, running

STORY = Turn(heard="tell me a story", say="Once upon a time there was a kettle", ms=6000, wave="counter")
PAUSE_S = 12.0
"""From one question in the virtual room to the next."""
SHOWN_S, WINDOW_S, REFRESH_S = 900, 300, 15
"""Of the boards: how much of the past, over how much averages are taken, and how often they look again."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.observe", description=__doc__)
    parser.add_argument(
        "--target", type=_target, default="127.0.0.1:9477", help="whose metrics (default: %(default)s)"
    )
    parser.add_argument(
        "--times", type=int, default=1, help="shorten the rules' time so much: 60 makes hours minutes"
    )
    parser.add_argument("--no-boards", action="store_true", help="spare the 660 MB of what draws them")
    return parser.parse_args()


def _target(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text}: host:port is wanted, such as 127.0.0.1:9477")
    return text


def _tell(told: Told) -> None:
    what = "ALERT" if told.firing else "over "
    print(f"  {what} {told.receiver:8} {told.alert}: {told.annotations.get('summary', '')}", flush=True)


def _answers(target: str) -> bool:
    host, _, port = target.rpartition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
        return True
    return False


@asynccontextmanager
async def _whom(directory: Path, target: str) -> AsyncIterator[tuple[str, str]]:
    """Whom to look at, and what to say about it."""
    if await asyncio.to_thread(_answers, target):
        yield target, f"the daemon at {target}"
        return
    script = Script(turns=(STORY,), shared=True, loop=True)
    async with running(ServerOptions(script=script)) as server:
        with daemon(directory, server.url) as voice:
            await voice.until_logged("metrics are served", timeout_s=30)
            (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
            asking = asyncio.create_task(_ask_for_stories(voice))
            try:
                yield f"127.0.0.1:{port}", f"a daemon in a virtual room, as nobody answers at {target}"
            finally:
                asking.cancel()


async def _ask_for_stories(voice: Daemon) -> None:
    while True:
        voice.card.speak(loud(900))
        await asyncio.sleep(PAUSE_S)


def _where_to_look(stack: Stack, target: str, whom: str, drawn: str) -> str:
    return f"""
  watched        {whom}
  its page       http://{target}/
  boards         {drawn}
  alerts         http://{stack.prometheus}/alerts
  questions      http://{stack.prometheus}/graph
  Alertmanager   http://{stack.alertmanager}/api/v2/alerts

Alerts are told here as they come. Ctrl-C ends all of it and leaves nothing behind.
"""


async def _observe(given: argparse.Namespace, directory: Path, bundle: Path | Missing) -> None:
    async with AsyncExitStack() as running:
        target, whom = await running.enter_async_context(_whom(directory / "daemon", given.target))
        watching = observing(directory / "observed", target, times=given.times, tell=_tell)
        stack = await running.enter_async_context(watching)
        if isinstance(bundle, Missing):
            drawn = f"not drawn ({bundle}): a Grafana of yours, deploy/grafana, data from http://{stack.prometheus}"
        else:
            gallery = Gallery(bundle, stack.prometheus, _recently(given.times), refresh_s=REFRESH_S)
            drawn = await running.enter_async_context(gallery.opened())
        print(_where_to_look(stack, target, whom, drawn), flush=True)
        await asyncio.Event().wait()


def _bundle(*, wanted: bool) -> Path | Missing:
    """What draws the boards. It may take minutes, in which nothing else runs yet that would stand still."""
    try:
        return bundled() if wanted else Missing("as asked")
    except Missing as reason:
        return reason


def _recently(times: int) -> Callable[[], Moment]:
    """What boards show: the last minutes, since this was begun."""
    began = time()
    window, rate = (f"{WINDOW_S}s", "60s") if times == 1 else (f"{max(WINDOW_S // times, 10)}s", "5s")

    def moment() -> Moment:
        now = time()
        return Moment(max(began, now - SHOWN_S), now, LABELS["instance"], window=window, rate=rate)

    return moment


def main() -> int:
    """The process's exit code."""
    given = _arguments()
    for ends in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ends, signal.default_int_handler)  # what was begun is ended
    with tempfile.TemporaryDirectory(prefix="voice-agent-observe-") as directory:
        (Path(directory) / "daemon").mkdir()
        try:
            asyncio.run(_observe(given, Path(directory), _bundle(wanted=not given.no_boards)))
        except KeyboardInterrupt:
            return 0
        except Missing as error:
            print(f"observe: {error}", file=sys.stderr)
            return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
