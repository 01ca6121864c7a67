"""The unit on a booted Debian 13: installed as deploy/README.md says, then struck.

`make test-system` plays it, not `make test`: it needs root, and a minute for its Debian the first time.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nspawn import image
from tests.nspawn.node import Node, booted

pytestmark = pytest.mark.timeout(900)

SYSTEMD = image.ROOT / "systemd"
MAX_EXPOSURE = 1.5
CONFIG = "/etc/voice-agent/config.toml"
KEY = "/etc/credstore/voice-agent.api-key"
SECRET = "sk-of-the-node-0123456789"
NO_KEY_NEEDED = '[provider]\nkind = "custom"\ndialect = "ga"\nurl = "ws://127.0.0.1:8765/v1/realtime"\n'
KEY_NEEDED = '[provider]\nkind = "openai"\n'
AGENT = "/opt/voice-agent/bin/voice-agent"
PROGRAMS = """
[[tools.command]]
name = "who_runs"
description = "Who runs the tools."
argv = ["/usr/bin/id", "-un"]

[[tools.command]]
name = "write_down"
description = "Tries to write where it must not."
argv = ["/usr/bin/touch", "/etc/written"]
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Node]:
    try:
        image.check()
        ground, wheels = image.prepare()
    except image.NotPossible as error:
        pytest.skip(f"no systemd can be booted here: {error}")
    with booted(ground) as node:
        _install(node, wheels)
        yield node


def _install(node: Node, wheels: Path) -> None:
    for wheel in wheels.iterdir():
        # As base64, since what is given to a command is text.
        node.run("sh", "-c", f"base64 -d > /root/{wheel.name}", given=b64encode(wheel.read_bytes()).decode())
    node.run("sh", "-c", "/opt/voice-agent/bin/pip install -qq --no-deps --no-index /root/*.whl")
    node.run("ln", "-sf", AGENT, "/usr/local/bin/voice-agent")
    node.write("/usr/lib/sysusers.d/voice-agent.conf", _text("sysusers.d/voice-agent.conf"))
    node.write("/usr/lib/tmpfiles.d/voice-agent.conf", _text("tmpfiles.d/voice-agent.conf"))
    node.write("/usr/lib/udev/rules.d/70-voice-agent.rules", _text("rules.d/70-voice-agent.rules"))
    node.write("/etc/systemd/system/voice-agent.service", _text("voice-agent.service"))
    node.run("systemd-sysusers")
    node.write(CONFIG, NO_KEY_NEEDED)
    node.run("systemd-tmpfiles", "--create", "voice-agent.conf")
    node.run("systemctl", "daemon-reload")


def _text(name: str) -> str:
    return (SYSTEMD / name).read_text()


@pytest.fixture
def node(machine: Node) -> Iterator[Node]:
    """Stopped, without drop-ins or a key, and with a configuration that needs none."""
    machine.write(CONFIG, NO_KEY_NEEDED)
    yield machine
    machine.ask("systemctl", "stop", "voice-agent", "model")
    machine.run("rm", "-rf", DROP_INS, KEY, ENCRYPTED)
    machine.run("systemctl", "daemon-reload")
    machine.ask("systemctl", "reset-failed", "voice-agent")


DROP_INS = "/etc/systemd/system/voice-agent.service.d"
ENCRYPTED = "/etc/credstore.encrypted/voice-agent.api-key"


def shown(node: Node, what: str) -> str:
    return node.run("systemctl", "show", "--property", what, "--value", "voice-agent")


def journal(node: Node) -> str:
    """Of the invocation before the present one, too."""
    return node.run("journalctl", "--unit=voice-agent", "--output=cat", "--no-pager")


def change(node: Node, *lines: str) -> None:
    node.write(f"{DROP_INS}/scene.conf", "\n".join(["[Service]", *lines, ""]))
    node.run("systemctl", "daemon-reload")


def start(node: Node) -> str:
    """The number of its main process."""
    node.run("systemctl", "start", "voice-agent")
    return shown(node, "MainPID")


def serve(node: Node, script: str) -> None:
    """A model server that follows this script."""
    node.write("/root/script.json", script)
    command = (AGENT, "serve", "--script", "/root/script.json", "--port", "8765")
    node.run("systemd-run", "--quiet", "--collect", "--unit=model", *command)


def until_listening(node: Node) -> None:
    node.until(lambda: node.ask(AGENT, "tools").returncode == 0, "an answer at the control socket")


def until_another(node: Node, before: str, limit_s: float) -> None:
    def lives() -> bool:
        return shown(node, "ActiveState") == "active" and shown(node, "MainPID") not in {"0", before}

    node.until(lives, "another daemon", limit_s)


# ------------------------------------------------------------------------------------------ as installed


def test_systemd_finds_nothing_to_complain_of(node: Node) -> None:
    assert node.run("systemd-analyze", "verify", "voice-agent.service") == ""
    node.run("udevadm", "verify", "/usr/lib/udev/rules.d/70-voice-agent.rules")


def test_little_is_exposed_by_this_systemds_measure(node: Node) -> None:
    said = node.run("systemd-analyze", "security", "--no-pager", "voice-agent.service")
    exposure = re.search(r"Overall exposure level for voice-agent.service: (\d+\.\d+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= MAX_EXPOSURE, said


def test_files_are_for_those_whom_they_concern(node: Node) -> None:
    start(node)
    until_listening(node)
    paths = ("/etc/voice-agent", CONFIG, "/etc/credstore", "/var/lib/voice-agent", "/run/voice-agent")
    found = node.run("stat", "--format=%a %U:%G", *paths, "/run/voice-agent/control").splitlines()
    ours, theirs = "voice-agent:voice-agent", "root:voice-agent"
    assert found[0] == f"750 {theirs}"
    assert found[2:] == ["700 root:root", f"700 {ours}", f"750 {ours}", f"660 {ours}"]
    assert "audio" in node.run("id", "-nG", "voice-agent").split()
    refused = node.ask("runuser", "-u", "nobody", "--", AGENT, "mute")
    assert refused.returncode != 0


def test_the_daemon_has_no_rights_that_it_could_lose(node: Node) -> None:
    process = start(node)
    status = dict(
        line.split(":\t", 1)
        for line in node.run("cat", f"/proc/{process}/status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split()[0] == node.run("id", "-u", "voice-agent")
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


# ------------------------------------------------------------------------------------------ life and death


def test_it_is_ready_without_network_server_or_sound_and_says_what_is_missing(node: Node) -> None:
    start(node)

    def tells() -> bool:
        status = shown(node, "StatusText")
        return "no session" in status and "no microphone" in status

    node.until(tells, "a status that says what is missing")


def test_its_status_follows_the_state(node: Node) -> None:
    start(node)
    serve(node, "{}")
    node.until(lambda: shown(node, "StatusText").startswith("in session"), "a session", 40)
    node.run("systemctl", "stop", "model")
    node.until(lambda: shown(node, "StatusText").startswith("no session"), "no session")


def test_it_stops_cleanly_and_in_time(node: Node) -> None:
    start(node)
    node.run("systemctl", "stop", "voice-agent")
    assert (shown(node, "Result"), shown(node, "ExecMainStatus")) == ("success", "0")
    took = int(shown(node, "InactiveEnterTimestampMonotonic")) - int(
        shown(node, "ActiveExitTimestampMonotonic")
    )
    assert took < 3_000_000  # microseconds


def test_a_killed_daemon_comes_back(node: Node) -> None:
    before = start(node)
    node.run("systemctl", "kill", "--signal=KILL", "voice-agent")
    until_another(node, before, 20)
    assert shown(node, "NRestarts") == "1"


def test_the_watchdog_ends_a_daemon_that_stands_still_and_keeps_its_stacks(node: Node) -> None:
    change(node, "WatchdogSec=3")
    before = start(node)
    node.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "voice-agent")
    until_another(node, before, 30)
    told = journal(node)
    assert "Failed with result 'watchdog'" in told
    assert "Fatal Python error: Aborted" in told
    assert "run_in_foreground" in told


def test_a_crash_at_every_start_neither_spins_nor_gives_up(node: Node) -> None:
    change(node, "ExecStart=", "ExecStart=/bin/false", "RestartSec=100ms", "RestartMaxDelaySec=1s")
    node.ask("systemctl", "start", "voice-agent")
    node.until(lambda: int(shown(node, "NRestarts")) >= 7, "seven more tries")
    assert shown(node, "RestartUSecNext") not in {"100ms", "0"}
    more = int(shown(node, "NRestarts"))
    node.until(lambda: int(shown(node, "NRestarts")) > more, "another try")


@pytest.mark.parametrize(("config", "status"), [(KEY_NEEDED, "78"), ("nonsense = 1\n", "78"), ("", "66")])
def test_what_people_must_mend_is_said_once_and_waits_for_them(node: Node, config: str, status: str) -> None:
    if config:
        node.write(CONFIG, config)
    else:
        node.run("rm", CONFIG)
    assert node.ask("systemctl", "start", "voice-agent").returncode != 0
    assert (shown(node, "ActiveState"), shown(node, "ExecMainStatus")) == ("failed", status)
    assert shown(node, "NRestarts") == "0"
    node.write(CONFIG, NO_KEY_NEEDED)
    start(node)


# ------------------------------------------------------------------------------------------ a bad day


def test_a_refused_key_is_no_reason_to_end(node: Node) -> None:
    node.write(CONFIG, NO_KEY_NEEDED)
    process = start(node)
    serve(node, '{"refuse": [401, 401, 401, 401, 401, 401]}')
    node.until(lambda: "401" in shown(node, "StatusText"), "a status that says so", 60)
    assert shown(node, "MainPID") == process


def test_a_disk_that_cannot_be_written_costs_only_what_would_be_kept(node: Node) -> None:
    change(node, "ReadOnlyPaths=/var/lib/voice-agent")
    process = start(node)
    until_listening(node)
    node.run(AGENT, "volume", "30")
    node.until(lambda: "Read-only file system" in journal(node), "a word about the disk")
    assert shown(node, "MainPID") == process


def test_a_tools_program_runs_behind_the_same_fence(node: Node) -> None:
    node.write(CONFIG, NO_KEY_NEEDED + PROGRAMS)
    start(node)
    until_listening(node)
    assert "voice-agent" in node.run(AGENT, "tools", "call", "who_runs", "{}")
    refused = node.ask(AGENT, "tools", "call", "write_down", "{}")
    assert "Read-only file system" in refused.stdout + refused.stderr


# ------------------------------------------------------------------------------------------ the key


def test_the_key_is_taken_from_the_store(node: Node) -> None:
    node.write(CONFIG, KEY_NEEDED)
    node.write(KEY, SECRET, "600")
    start(node)
    assert SECRET not in journal(node)


def test_the_key_may_be_encrypted(node: Node) -> None:
    node.write(CONFIG, KEY_NEEDED)
    node.run("systemd-creds", "encrypt", "--name=voice-agent.api-key", "-", ENCRYPTED, given=SECRET)
    process = start(node)
    folder = f"/proc/{process}/root/run/credentials/voice-agent.service"
    assert node.run("cat", f"{folder}/voice-agent.api-key") == SECRET
    assert SECRET not in node.run("cat", ENCRYPTED)
