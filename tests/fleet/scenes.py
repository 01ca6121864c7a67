"""A fleet is installed, changed, updated and kept from harm: in this order, on the same devices."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.fleet import model
from tests.fleet.conftest import CONFIG, KEY, Fleet
from tests.fleet.controller import PLAYBOOKS, VENV
from tests.fleet.devices import Device, files
from tests.fleet.versions import BROKEN, NEWER, TODAY

FILE = "/etc/voice-agent/config.toml"
STORE, ENCRYPTED = "/etc/credstore/voice-agent.api-key", "/etc/credstore.encrypted/voice-agent.api-key"
OTHER_KEY = "sk-of-the-fleet-9876543210"
NOBODYS_KEY = "sk-of-nobody-0123456789"
NOBODY = "10.77.0.99"
LEFT = {
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/.pwd.lock",
    "/etc/subuid",
    "/etc/subgid",
}
"""Of users who were there and are not."""


def config(**sections: dict[str, object]) -> dict[str, object]:
    """The fleet's configuration, but for these sections."""
    return {"voice_agent_config": CONFIG | sections}


def credential(device: Device) -> str:
    """The key that the daemon was given."""
    return device.read(f"/proc/{device.process}/root/run/credentials/voice-agent.service/voice-agent.api-key")


@contextmanager
def watched(words: tuple[str, ...]) -> Iterator[list[str]]:
    """Command lines with any of these words, of all processes here and on the devices."""
    found: list[str] = []
    over = Event()

    def look() -> None:
        while not over.wait(0.02):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    text = place.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                found.extend(text for word in words if word in text)

    watcher = Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def test_ansible_lint_finds_nothing() -> None:
    lint = [str(VENV / "bin/ansible-lint"), "--offline", "--profile=production", "--nocolor"]
    environ = os.environ | {"PATH": f"{VENV}/bin:{os.environ['PATH']}"}
    done = subprocess.run(lint, cwd=PLAYBOOKS, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------------------------- what it shall be


def test_bare_debians_become_devices_that_are_ready(fleet: Fleet) -> None:
    assert fleet.first.code == 0, fleet.first.said[-3000:]
    for device in fleet.devices:
        device.until_in_session()
        assert device.version() == TODAY
        assert device.shown("UnitFileState") == "enabled"
        assert device.node.run("stat", "--format=%a %U:%G", FILE) == "640 root:voice-agent"
        assert device.node.run("stat", "--format=%a %U:%G", STORE) == "600 root:root"
        assert credential(device) == KEY
        extras = device.node.ask("voice-agent", "doctor", "--only", "extras").stdout
        assert "aec and vad are installed" in extras


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.processes()
    again = fleet.controller.run("site.yml")
    assert (again.code, again.changed) == (0, 0), again.said[-3000:]
    assert fleet.processes() == before


def test_what_would_change_is_shown_and_not_done(fleet: Fleet) -> None:
    before = [(device.process, device.read(FILE)) for device in fleet.devices]
    more = config(session={"instructions": "Be long."}) | fleet.version(NEWER)
    shown = fleet.controller.run("site.yml", more, "--check")
    assert shown.code == 0, shown.said[-3000:]
    assert '+instructions = "Be long."' in shown.said
    assert all(tally.changed for tally in shown.tallies.values())
    assert [(device.process, device.read(FILE)) for device in fleet.devices] == before


def test_a_device_that_is_unreachable_is_told_and_the_others_go_on(fleet: Fleet) -> None:
    told = fleet.controller.run("site.yml", also={"cellar": NOBODY})
    assert told.tallies["cellar"].unreachable == 1
    assert {tally.failed for tally in told.tallies.values()} == {0}
    assert len(told.tallies) == len(fleet.devices) + 1


def test_a_device_that_will_not_do_is_told_so_before_anything_is_changed(fleet: Fleet) -> None:
    refused = fleet.controller.run("site.yml", {"voice_agent_clock_tolerance_s": -1})
    assert refused.code != 0
    assert "clock differs from the controller's" in refused.said
    assert refused.changed == 0


# ------------------------------------------------------------------------------------ configuration


def test_a_reload_does_where_it_is_enough_and_a_restart_where_not(fleet: Fleet) -> None:
    before = fleet.processes()
    more = config(session={"instructions": "Be very brief."})
    assert fleet.controller.run("site.yml", more).code == 0
    assert fleet.processes() == before
    assert all("configuration not taken" not in device.shown("StatusText") for device in fleet.devices)
    more = config(metrics={"port": 9500})
    assert fleet.controller.run("site.yml", more).code == 0
    assert not set(fleet.processes()) & set(before)
    assert fleet.controller.run("site.yml").code == 0


def test_a_wrong_configuration_is_refused_and_the_old_one_stays(fleet: Fleet) -> None:
    before = [(device.process, device.read(FILE)) for device in fleet.devices]
    refused = fleet.controller.run("site.yml", config(log={"level": "shouting"}))
    assert refused.code != 0
    assert all(tally.failed for tally in refused.tallies.values())
    assert "log.level" in refused.said
    assert [(device.process, device.read(FILE)) for device in fleet.devices] == before


# -------------------------------------------------------------------------------------------- secrets


def test_a_key_is_rotated_encrypted_and_seen_by_nobody(fleet: Fleet) -> None:
    before = fleet.processes()
    fleet.controller.vaulted = {"voice_agent_secrets": {"api-key": OTHER_KEY}}
    with watched((KEY, OTHER_KEY)) as seen:
        assert fleet.controller.run("site.yml").code == 0
        assert [credential(device) for device in fleet.devices] == [OTHER_KEY] * 3
        assert not set(fleet.processes()) & set(before)
        encrypted = {"voice_agent_secrets_encrypted": True}
        changed = fleet.controller.run("site.yml", encrypted, "-vv")
        assert changed.code == 0, changed.said[-3000:]
        assert fleet.controller.run("site.yml", encrypted).changed == 0
    assert seen == []
    for device in fleet.devices:
        assert credential(device) == OTHER_KEY
        assert device.node.ask("test", "-e", STORE).returncode == 1
        assert (
            device.node.ask("grep", "-rlE", f"{KEY}|{OTHER_KEY}", "/etc", "/var", "/opt", "/root").stdout
            == ""
        )
        assert device.node.ask("grep", "-c", OTHER_KEY, ENCRYPTED).stdout.strip() == "0"
    assert fleet.controller.run("site.yml").code == 0
    assert all(device.node.ask("test", "-e", ENCRYPTED).returncode == 1 for device in fleet.devices)


# ------------------------------------------------------------------------------------------ roll-outs


def test_a_roll_out_brings_one_device_after_another_to_the_new_version(fleet: Fleet) -> None:
    fleet.controller.base |= fleet.version(NEWER)
    rolled = fleet.controller.run("rollout.yml")
    assert rolled.code == 0, rolled.said[-3000:]
    assert [device.version() for device in fleet.devices] == [NEWER] * 3
    assert rolled.said.count("PLAY [Roll voice-agent out") == 3
    assert len(re.findall(r'"stdout": "\S+ s of an answer were heard', rolled.said)) == 3
    before = fleet.processes()
    again = fleet.controller.run("rollout.yml")
    assert (again.code, again.changed) == (0, 0), again.said[-3000:]
    assert fleet.processes() == before


def test_a_version_that_never_gets_ready_is_taken_back_and_goes_no_further(fleet: Fleet) -> None:
    stopped(fleet, fleet.version(BROKEN) | config(session={"instructions": "Be broken."}))


def test_a_provider_that_refuses_is_taken_back_and_goes_no_further(fleet: Fleet) -> None:
    stopped(fleet, config(provider=model.provider(model.REFUSES)))


def test_the_same_goes_for_debian_12(fleet: Fleet) -> None:
    old = fleet.devices[1]
    before = old.read(FILE)
    refused = fleet.controller.run("rollout.yml", fleet.version(BROKEN), "--limit", old.name)
    assert refused.tallies[old.name].failed == 1
    assert (old.version(), old.read(FILE)) == (NEWER, before)


def stopped(fleet: Fleet, more: dict[str, object]) -> None:
    """With another key as well: the canary has all that it had again, the others still have it."""
    before = [device.read(FILE) for device in fleet.devices]
    others = [device.process for device in fleet.others]
    key = credential(fleet.canary)
    was = fleet.controller.vaulted
    fleet.controller.vaulted = {"voice_agent_secrets": {"api-key": NOBODYS_KEY}}
    refused = fleet.controller.run("rollout.yml", more)
    fleet.controller.vaulted = was
    assert refused.code != 0
    assert set(refused.tallies) == {fleet.canary.name}
    assert "is back at deb 9.0.0" in refused.said
    assert [device.read(FILE) for device in fleet.devices] == before
    assert [device.process for device in fleet.others] == others
    fleet.canary.until_in_session()
    assert fleet.canary.version() == NEWER
    assert credential(fleet.canary) == key
    assert fleet.canary.node.ask("ls", "/var/lib/voice-agent-rollout").returncode != 0


def test_a_roll_back_is_a_roll_out_of_the_old_version(fleet: Fleet) -> None:
    fleet.controller.base |= fleet.version(TODAY)
    assert fleet.controller.run("rollout.yml").code == 0
    assert [device.version() for device in fleet.devices] == [TODAY] * 3


# ----------------------------------------------------------------------------------------- the device


def test_a_device_is_tuned_where_that_is_asked_for_and_only_as_long(fleet: Fleet) -> None:
    wanted = {
        "voice_agent_tune_governor": "performance",
        "voice_agent_tune_journal_mb": 64,
        "voice_agent_tune_usb": True,
    }
    only = ("--limit", fleet.canary.name)
    assert fleet.controller.run("site.yml", wanted, *only).code == 0
    assert fleet.controller.run("site.yml", wanted, *only).changed == 0
    rules, journal = (
        "/etc/udev/rules.d/90-voice-agent-usb.rules",
        "/etc/systemd/journald.conf.d/90-voice-agent.conf",
    )
    fleet.canary.node.run("udevadm", "verify", rules)
    assert "SystemMaxUse=64M" in fleet.canary.read(journal)
    assert fleet.controller.run("site.yml", {}, *only).code == 0
    assert fleet.canary.node.ask("ls", rules).returncode != 0
    assert fleet.canary.node.ask("ls", journal).returncode != 0


# -------------------------------------------------------------------------------------------- the end


def test_no_secret_was_said_by_anybody(fleet: Fleet) -> None:
    texts = [fleet.controller.said]
    texts += [
        device.node.run("journalctl", "--no-pager", "--output=verbose", "--all") for device in fleet.devices
    ]
    assert not [found for text in texts for found in re.findall(f"{KEY}|{OTHER_KEY}|{NOBODYS_KEY}", text)]


def test_nothing_is_left_where_it_was_uninstalled(fleet: Fleet) -> None:
    gone = fleet.controller.run("uninstall.yml")
    assert gone.code == 0, gone.said[-3000:]
    for device in fleet.devices:
        left = {path for path in files(device.node) - device.before - LEFT if "voice" in path}
        assert left == set()
        assert device.node.ask("getent", "passwd", "voice-agent").returncode == 2
        assert device.node.ask("systemctl", "cat", "voice-agent").returncode == 1
    assert fleet.controller.run("uninstall.yml").changed == 0
