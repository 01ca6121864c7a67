"""How the service lives and dies: started, told of, struck, stopped."""

import pytest

from tests.nspawn.node import Node
from tests.nspawn.service import (
    CLOUD,
    CONFIG,
    LOCAL,
    change,
    journal,
    serve,
    shown,
    start,
    until_another,
    until_status,
)


def test_it_is_ready_without_network_server_or_sound_and_says_what_is_missing(node: Node) -> None:
    start(node)

    until_status(node, "no session", "no microphone")


def test_its_status_follows_the_state(node: Node) -> None:
    start(node)
    serve(node, "{}")
    until_status(node, "in session", limit_s=40)
    node.run("systemctl", "stop", "model")
    until_status(node, "no session")


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


@pytest.mark.parametrize(("config", "status"), [(CLOUD, "78"), ("nonsense = 1\n", "78"), ("", "66")])
def test_what_people_must_mend_is_said_once_and_waits_for_them(node: Node, config: str, status: str) -> None:
    if config:
        node.write(CONFIG, config)
    else:
        node.run("rm", CONFIG)
    assert node.ask("systemctl", "start", "voice-agent").returncode != 0
    assert (shown(node, "ActiveState"), shown(node, "ExecMainStatus")) == ("failed", status)
    assert shown(node, "NRestarts") == "0"
    node.write(CONFIG, LOCAL)
    start(node)
