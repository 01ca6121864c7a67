"""Prometheus and Alertmanager beside a voice agent, until Ctrl-C. ``make observe``.

Whatever daemon serves its metrics at the address is looked at; if none does, one is started in a virtual
room, with a server that tells stories.
"""

import argparse
import asyncio
import re
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.observe.programs import Missing
from tests.observe.stack import Stack, Told, observing
from tests.system.harness import Daemon, daemon, loud
from voice_agent.embedded import Script, ServerOptions, Turn, running

STORY = Turn(heard="tell me a story", say="Once upon a time there was a kettle", ms=6000, wave="counter")
PAUSE_S = 12.0
"""From one question in the virtual room to the next."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.observe", description=__doc__)
    parser.add_argument("--target", default="127.0.0.1:9477", help="whose metrics (default: %(default)s)")
    parser.add_argument(
        "--times", type=int, default=1, help="shorten the rules' time so much: 60 makes hours minutes"
    )
    return parser.parse_args()


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


def _where_to_look(stack: Stack, target: str, whom: str) -> str:
    return f"""
  watched        {whom}
  its page       http://{target}/
  alerts         http://{stack.prometheus}/alerts
  questions      http://{stack.prometheus}/graph
  Alertmanager   http://{stack.alertmanager}/api/v2/alerts
  boards         deploy/grafana: a Grafana of yours, with http://{stack.prometheus} as its data source

Alerts are told here as they come. Ctrl-C ends all of it and leaves nothing behind.
"""


async def _observe(given: argparse.Namespace, directory: Path) -> None:
    async with _whom(directory / "daemon", given.target) as (target, whom):
        observed = observing(directory / "observed", target, times=given.times, tell=_tell)
        async with observed as stack:
            print(_where_to_look(stack, target, whom), flush=True)
            await asyncio.Event().wait()


def main() -> int:
    """The process's exit code."""
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="voice-agent-observe-") as directory:
        (Path(directory) / "daemon").mkdir()
        try:
            asyncio.run(_observe(given, Path(directory)))
        except KeyboardInterrupt:
            return 0
        except Missing as error:
            print(f"observe: {error}", file=sys.stderr)
            return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
