"""What a part may use up without taking the conversation with it: memory and tasks.

On a node with control groups of version 1, the only ones in which this machine may have limits to give away;
there systemd calls a service that was ended for want of memory ``signal``, not ``oom-kill``.
"""

from collections.abc import Iterator

import pytest

from tests.nspawn.conversation import Conversation
from tests.nspawn.node import Hierarchy
from tests.nspawn.service import AGENT, CONFIG, change, journal, shown, start, until_another, until_status

TOOLS = """
[[tools.command]]
name = "devour"
description = "Takes all the memory that it gets."
argv = ["/usr/bin/python3", "-c", "x = []\\nwhile True: x.append(bytearray(1 << 24))"]

[[tools.command]]
name = "multiply"
description = "Starts as many programs as it may."
argv = ["/bin/sh", "-c", "for i in $(seq 400); do sleep 20 & done; wait"]
"""
LEAKING = """
import os, threading, time
def leak():
    while not os.path.exists("/run/leak"):
        time.sleep(0.1)
    kept = []
    while True:
        kept.append(bytearray(1 << 24))
        time.sleep(0.01)
threading.Thread(target=leak, daemon=True).start()
"""


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return Hierarchy.LEGACY


@pytest.fixture
def limited(talk: Conversation) -> Iterator[Conversation]:
    """Limits are in force."""
    for controller in ("memory", "pids"):
        talk.node.run("mount", "-o", "remount,rw,bind", f"/sys/fs/cgroup/{controller}")
    talk.node.run("systemctl", "daemon-reexec")
    yield talk
    talk.node.run("rm", "-f", "/run/leak")


def test_a_tools_program_that_takes_all_memory_ends_alone(limited: Conversation) -> None:
    node = limited.node
    node.write(CONFIG, node.run("cat", CONFIG) + TOOLS)
    limited.serve()
    process = start(node)
    assert shown(node, "MemoryMax") == str(384 << 20)
    limited.works()
    assert "ended by SIGKILL" in node.ask(AGENT, "tools", "call", "devour", "{}").stdout
    limited.works()
    assert shown(node, "MainPID") == process


def test_a_tools_programs_that_multiply_are_stopped_and_leave_the_conversation(limited: Conversation) -> None:
    node = limited.node
    node.write(CONFIG, node.run("cat", CONFIG) + TOOLS)
    limited.serve()
    process = start(node)
    assert shown(node, "TasksMax") == "256"
    limited.works()
    assert "Cannot fork" in node.ask(AGENT, "tools", "call", "multiply", "{}").stdout
    limited.works()
    assert shown(node, "MainPID") == process


def test_a_daemon_that_leaks_is_ended_and_comes_back(limited: Conversation) -> None:
    node = limited.node
    node.write("/opt/plug/sitecustomize.py", LEAKING)
    change(node, "Environment=PYTHONPATH=/opt/plug")
    limited.serve()
    process = start(node)
    limited.works()
    limited.begins()
    node.write("/run/leak", "")
    node.until(lambda: shown(node, "MainPID") != process, "its end")
    node.run("rm", "/run/leak")
    until_another(node, process, 30)
    until_status(node, "in session")
    limited.works()
    assert "status=9/KILL" in journal(node)
