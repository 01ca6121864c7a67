"""One daemon process: watched from outside through /proc, its log and its metrics."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

KEY = "AQVN-the-key-of-the-chaos-suite"
TOOL_KEY = "the-key-of-a-tool-of-the-chaos-suite"
METRICS_USER, METRICS_PASSWORD = "chaos", "the-password-of-the-metrics-of-the-chaos-suite"
CREDENTIALS = {
    "VOICE_AGENT_API_KEY": KEY,
    "VOICE_AGENT_CREDENTIAL_CHAOS_TOOL": TOOL_KEY,
    "VOICE_AGENT_CREDENTIAL_VOICE_AGENT_METRICS_PASSWORD": METRICS_PASSWORD,
}
SAMPLE = re.compile(r"^(voice_agent_\w+)(?:\{([^}]*)\})? ([-+.e0-9]+)$", re.MULTILINE)


class Vitals(NamedTuple):
    """What a process holds. ``rss_kb``: memory in real use."""

    rss_kb: int
    fds: int
    threads: int
    tasks: int


class DaemonProcess:
    """``voice-agent run``, until ``stop``. ``root``: where the package is imported from; default: as here."""

    def __init__(self, directory: Path, config: str, environ: Mapping[str, str], metrics_port: int) -> None:
        self._log = directory / "log"
        path = directory / "config.toml"
        path.write_text(config)
        environment = os.environ | dict(environ) | CREDENTIALS | {"HOME": str(directory)}
        environment["XDG_STATE_HOME"] = str(directory)
        self._address = f"http://127.0.0.1:{metrics_port}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_leash(), sys.executable, "-m", "voice_agent", "run", "--config", str(path)],
                env=environment,
                stdout=log,
                stderr=log,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """How it ended, if it has."""
        return self._process.poll()

    @property
    def log_bytes(self) -> int:
        """How long the log is."""
        return self._log.stat().st_size

    def log(self, since: int = 0) -> str:
        """Its lines from that byte on."""
        with self._log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def vitals(self) -> Vitals:
        """What it holds now."""
        here = Path(f"/proc/{self._process.pid}")
        status = dict(line.split(":", 1) for line in (here / "status").read_text().splitlines())
        tasks = int(self.figures().get("voice_agent_asyncio_tasks", 0))
        fds = sum(1 for _ in (here / "fd").iterdir())
        return Vitals(int(status["VmRSS"].split()[0]), fds, int(status["Threads"]), tasks)

    def figures(self) -> dict[str, float]:
        """Its metrics, summed over labels; empty if there are none. Blocks: ask in a thread."""
        try:
            text = self._page("/metrics")
        except OSError:
            return {}
        found: dict[str, float] = {}
        for name, _, value in SAMPLE.findall(text):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def public(self) -> dict[str, str]:
        """What others may read of it, but for its log. Blocks: ask in a thread."""
        argv = Path(f"/proc/{self._process.pid}/cmdline").read_text()
        return {"argv": argv, "/metrics": self._page("/metrics"), "/status": self._page("/status")}

    def _page(self, path: str) -> str:
        given = b64encode(f"{METRICS_USER}:{METRICS_PASSWORD}".encode()).decode()
        request = urllib.request.Request(self._address + path, headers={"Authorization": f"Basic {given}"})
        with urllib.request.urlopen(request, timeout=2) as answer:
            text: str = answer.read().decode()
            return text

    def stop(self, patience_s: float = 5.0) -> int:
        """SIGTERM, and its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def kill(self) -> None:
        """At once, whatever it does."""
        self._process.kill()
        self._process.wait()


def _leash() -> list[str]:
    """A daemon does not outlive a suite that was killed."""
    return [found, "--pdeathsig", "KILL"] if (found := shutil.which("setpriv")) else []
