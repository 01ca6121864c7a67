"""What the service may do, and who may do what with it."""

import re

from tests.nspawn.node import Node
from tests.nspawn.service import (
    AGENT,
    CLOUD,
    CONFIG,
    ENCRYPTED,
    KEY,
    LOCAL,
    journal,
    start,
    until_listening,
)

SECRET = "sk-of-the-node-0123456789"
MAX_EXPOSURE = 1.5
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


def test_a_tools_program_runs_behind_the_same_fence(node: Node) -> None:
    node.write(CONFIG, LOCAL + PROGRAMS)
    start(node)
    until_listening(node)
    assert "voice-agent" in node.run(AGENT, "tools", "call", "who_runs", "{}")
    refused = node.ask(AGENT, "tools", "call", "write_down", "{}")
    assert "Read-only file system" in refused.stdout + refused.stderr


def test_the_key_is_taken_from_the_store(node: Node) -> None:
    node.write(CONFIG, CLOUD)
    node.write(KEY, SECRET, "600")
    start(node)
    assert SECRET not in journal(node)


def test_the_key_may_be_encrypted(node: Node) -> None:
    node.write(CONFIG, CLOUD)
    node.run("systemd-creds", "encrypt", "--name=voice-agent.api-key", "-", ENCRYPTED, given=SECRET)
    process = start(node)
    folder = f"/proc/{process}/root/run/credentials/voice-agent.service"
    assert node.run("cat", f"{folder}/voice-agent.api-key") == SECRET
    assert SECRET not in node.run("cat", ENCRYPTED)
