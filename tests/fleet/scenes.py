"""A fleet is installed, changed, updated and kept from harm: in this order, on the same devices."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from threading import Event, Thread

import yaml

from tests.fleet import model
from tests.fleet.conftest import CONFIG, KEY, Fleet
from tests.fleet.controller import PLAYBOOKS, VENV
from tests.fleet.devices import Device, files
from tests.fleet.versions import BROKEN, NEWER, TODAY

FILE = "/etc/voice-agent/config.toml"
CERTIFICATE, EXTRAS = "/etc/voice-agent/metrics.pem", "/opt/voice-agent/extras"
STORE, ENCRYPTED = "/etc/credstore/voice-agent.api-key", "/etc/credstore.encrypted/voice-agent.api-key"
BOTH = ("--limit", "kitchen,hall")
"""One of each Debian: where the third would only be one more."""
OTHER_KEY = "sk-of-the-fleet-9876543210"
NOBODYS_KEY = "sk-of-nobody-0123456789"
PLACES = ("/etc", "/home", "/opt", "/root", "/tmp", "/var")
"""Where a device might have kept one."""
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
        while not over.wait(0.05):
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


def test_what_would_become_of_bare_debians_is_shown(fleet: Fleet) -> None:
    for device in fleet.devices[:2]:
        device.node.run("apt-get", "update")
        device.node.run("apt-get", "install", "--yes", "python3-apt")
    shown = fleet.controller.run("site.yml", None, "--check", *BOTH)
    assert shown.code == 0, shown.said[-3000:]
    assert all(tally.changed for tally in shown.tallies.values())
    assert fleet.canary.node.ask("ls", "/etc/voice-agent", "/var/cache/voice-agent").stdout == ""


def test_bare_debians_become_devices_that_are_ready(fleet: Fleet) -> None:
    done = fleet.controller.run("site.yml")
    assert done.code == 0, done.said[-3000:]
    for device in fleet.devices:
        device.until_in_session()
        assert device.version() == TODAY
        assert device.shown("UnitFileState") == "enabled"
        assert device.node.run("stat", "--format=%a %U:%G", FILE) == "640 root:voice-agent"
        assert device.node.run("stat", "--format=%a %U:%G", STORE) == "600 root:root"
        assert credential(device) == KEY
        extras = device.node.ask("voice-agent", "doctor", "--only", "extras").stdout
        assert "aec and vad are installed" in extras


def test_a_device_has_what_only_it_shall_have(fleet: Fleet) -> None:
    kitchen, _, attic = fleet.devices
    encrypted = f"""
        import ssl, urllib.request
        trust = ssl.create_default_context(cafile={CERTIFICATE!r})
        print(urllib.request.urlopen("https://127.0.0.1:9477/readyz", context=trust).status)
    """
    assert attic.node.run("python3", "-c", dedent(encrypted)).strip() == "200"
    assert kitchen.node.ask("test", "-e", CERTIFICATE).returncode == 1
    attic.node.run(f"{EXTRAS}/bin/python", "-c", "import mcp")
    assert kitchen.node.ask(f"{EXTRAS}/bin/python", "-c", "import mcp").returncode == 1
    assert "file:/srv/voice-agent" in attic.node.run("apt-cache", "policy", "voice-agent")
    assert "file:/srv/voice-agent" not in kitchen.node.run("apt-cache", "policy", "voice-agent")


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.processes()
    again = fleet.controller.run("site.yml")
    assert (again.code, again.changed) == (0, 0), again.said[-3000:]
    assert fleet.restarted(before) == set()


def test_what_would_change_is_shown_and_not_done(fleet: Fleet) -> None:
    before = [(device.process, device.read(FILE)) for device in fleet.devices]
    more = config(session={"instructions": "Be long."}) | fleet.version(NEWER)
    shown = fleet.controller.run("site.yml", more, "--check", "--limit", "kitchen")
    assert shown.code == 0, shown.said[-3000:]
    assert '+instructions = "Be long."' in shown.said
    assert shown.changed
    assert [(device.process, device.read(FILE)) for device in fleet.devices] == before


def test_a_device_that_will_not_do_is_told_so_before_anything_is_changed(fleet: Fleet) -> None:
    impossible = {"voice_agent_clock_tolerance_s": -1, "voice_agent_room_needed_mb": 10**9}
    refused = fleet.controller.run("site.yml", impossible)
    assert refused.code != 0
    assert "clock differs from the controller's" in refused.said
    assert "1000000000 shall be" in refused.said
    assert refused.changed == 0


def test_prometheus_is_told_by_the_inventory_whom_to_ask(fleet: Fleet, tmp_path: Path) -> None:
    fleet.controller.base |= {"fleet": "homes", "site": "here"}
    told = fleet.controller.run("targets.yml", {"voice_agent_targets": str(tmp_path / "homes.yml")})
    assert told.code == 0, told.said[-3000:]
    labels = {"fleet": "homes", "site": "here"}
    assert yaml.safe_load((tmp_path / "homes.yml").read_text()) == [
        {"targets": [f"{device.address}:9477"], "labels": {**labels, "instance": device.name}}
        for device in sorted(fleet.devices, key=lambda each: each.name)
    ]


# ------------------------------------------------------------------------------------ configuration


def test_a_reload_does_where_it_is_enough_and_what_an_earlier_run_left_undone_is_done(fleet: Fleet) -> None:
    """The kitchen's change takes a restart, the hall's a reload; in the attic a run was cut off before it."""
    before, (_, hall, attic) = fleet.processes(), fleet.devices
    fleet.controller.own["kitchen"] = {"voice_agent_config_here": {"metrics": {"port": 9500}}}
    fleet.controller.own["hall"] = {"voice_agent_config_here": {"session": {"voice": "dasha"}}}
    attic.node.run("touch", STORE)
    done = fleet.controller.run("site.yml")
    assert done.code == 0, done.said[-3000:]
    assert fleet.restarted(before) == {"kitchen", "attic"}
    assert "restart for /etc/credstore/voice-agent.api-key" in done.said
    assert 'voice = "dasha"' in hall.read(FILE)
    assert "configuration not taken" not in hall.shown("StatusText")


def test_a_wrong_configuration_is_refused_and_the_old_one_stays(fleet: Fleet) -> None:
    before = [(device.process, device.read(FILE)) for device in fleet.devices]
    for only_shown in ((), ("--check",)):
        refused = fleet.controller.run("site.yml", config(log={"level": "shouting"}), *BOTH, *only_shown)
        assert refused.code != 0
        assert [tally.failed for tally in refused.tallies.values()] == [1, 1]
        assert "log.level" in refused.said
    assert [(device.process, device.read(FILE)) for device in fleet.devices] == before


# -------------------------------------------------------------------------------------------- secrets


def test_a_key_is_rotated_encrypted_and_seen_by_nobody(fleet: Fleet) -> None:
    both = fleet.devices[:2]
    before = fleet.processes()
    fleet.controller.vaulted = fleet.secrets(OTHER_KEY)
    fleet.controller.base["voice_agent_secrets_encrypted"] = True  # from now on
    with watched((KEY, OTHER_KEY)) as seen:
        changed = fleet.controller.run("site.yml", None, "-vv", *BOTH)
    assert changed.code == 0, changed.said[-3000:]
    assert seen == []
    assert fleet.restarted(before) == {"kitchen", "hall"}
    for device in both:
        assert credential(device) == OTHER_KEY
        assert device.node.ask("test", "-e", STORE).returncode == 1
        plain = device.node.ask("grep", "-rlE", f"{KEY}|{OTHER_KEY}", *PLACES)
        assert plain.stdout == ""
        assert device.node.ask("grep", "-c", OTHER_KEY, ENCRYPTED).stdout.strip() == "0"


# ------------------------------------------------------------------------------------------ roll-outs


def test_a_roll_out_brings_one_after_another_to_the_new_version_and_passes_over_who_is_away(
    fleet: Fleet,
) -> None:
    fleet.controller.base |= fleet.version(NEWER)
    rolled = fleet.controller.run("rollout.yml", also={"cellar": NOBODY})
    assert rolled.tallies["cellar"].unreachable == 1
    assert {tally.failed for tally in rolled.tallies.values()} == {0}, rolled.said[-3000:]
    assert [device.version() for device in fleet.devices] == [NEWER] * 3
    assert rolled.said.count("PLAY [Roll voice-agent out") == 3
    assert len(re.findall(r'"stdout": "\S+ s of an answer were heard', rolled.said)) == 3


def test_a_version_that_never_gets_ready_is_taken_back_and_goes_no_further(fleet: Fleet) -> None:
    """With another key as well: the canary has all that it had again, the others still have it."""
    before = [device.read(FILE) for device in fleet.devices]
    others = [device.process for device in fleet.others]
    key = credential(fleet.canary)
    was = fleet.controller.vaulted
    fleet.controller.vaulted = fleet.secrets(NOBODYS_KEY)
    more = config(session={"instructions": "Be broken."})
    refused = fleet.controller.run("rollout.yml", fleet.version(BROKEN) | more)
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


def test_the_same_goes_for_debian_12_and_a_provider_that_refuses(fleet: Fleet) -> None:
    """And what was stopped is stopped again."""
    old = fleet.devices[1]
    before = old.read(FILE)
    old.node.run("systemctl", "stop", "voice-agent")
    more = config(provider=model.provider(model.REFUSES))
    refused = fleet.controller.run("rollout.yml", fleet.version(TODAY) | more, "--limit", old.name)
    assert refused.tallies[old.name].failed == 1
    assert "refused" in refused.said
    assert "could not converse before, either" in refused.said
    assert old.shown("ActiveState") == "inactive"
    old.node.run("systemctl", "start", "voice-agent")
    old.until_in_session()
    assert (old.version(), old.read(FILE)) == (NEWER, before)


def test_a_roll_back_is_a_roll_out_of_the_old_version(fleet: Fleet) -> None:
    fleet.controller.base |= fleet.version(TODAY)
    cut_off_in_an_upgrade(fleet.canary)
    assert fleet.controller.run("rollout.yml", {"voice_agent_serial": "100%"}, *BOTH).code == 0
    assert [device.version() for device in fleet.devices] == [TODAY, TODAY, NEWER]
    versions = fleet.canary.node.run("ls", "/var/cache/voice-agent")
    assert (TODAY in versions, NEWER in versions, BROKEN in versions) == (True, True, False)


def cut_off_in_an_upgrade(device: Device) -> None:
    """As its power was: dpkg's journal says what it was at, and apt does nothing until that is done."""
    known = device.node.run("dpkg-query", "--status", "libsamplerate0")
    journal = known.replace("install ok installed", "install ok unpacked", 1)
    device.node.write("/var/lib/dpkg/updates/0001", f"{journal.strip()}\n")
    assert "dpkg was interrupted" in device.node.ask("apt-get", "install", "libsamplerate0").stderr


# ----------------------------------------------------------------------------------------- the device


def test_a_device_is_tuned_and_its_keys_are_plain_only_as_long_as_that_is_asked_for(fleet: Fleet) -> None:
    only, device = ("--limit", fleet.canary.name), fleet.canary
    rules = "/etc/udev/rules.d/90-voice-agent-usb.rules"
    journal = "/etc/systemd/journald.conf.d/90-voice-agent.conf"
    wanted = {
        "voice_agent_tune_governor": "performance",
        "voice_agent_tune_journal_mb": 64,
        "voice_agent_tune_usb": True,
        "voice_agent_secrets_encrypted": False,
    }
    assert fleet.controller.run("site.yml", wanted, *only).code == 0
    device.node.run("udevadm", "verify", rules)
    assert "SystemMaxUse=64M" in device.read(journal)
    assert device.read(STORE) == credential(device) == OTHER_KEY
    assert device.node.ask("test", "-e", ENCRYPTED).returncode == 1
    assert fleet.controller.run("site.yml", {}, *only).code == 0
    assert [device.node.ask("test", "-e", gone).returncode for gone in (rules, journal, STORE)] == [1, 1, 1]
    assert credential(device) == OTHER_KEY


# -------------------------------------------------------------------------------------------- the end


def test_no_secret_was_said_by_anybody(fleet: Fleet) -> None:
    texts = [fleet.controller.said]
    texts += [
        device.node.run("journalctl", "--no-pager", "--output=verbose", "--all") for device in fleet.devices
    ]
    told = fleet.metrics_key.splitlines()[1]
    secrets = re.compile("|".join(map(re.escape, (KEY, OTHER_KEY, NOBODYS_KEY, told))))
    assert not [found for text in texts for found in secrets.findall(text)]


def test_nothing_is_left_where_it_was_uninstalled(fleet: Fleet) -> None:
    gone = fleet.controller.run("uninstall.yml")
    assert gone.code == 0, gone.said[-3000:]
    for device in fleet.devices:
        left = {path for path in files(device.node) - device.before - LEFT if "voice" in path}
        assert left == set()
        assert device.node.ask("getent", "passwd", "voice-agent").returncode == 2
        assert device.node.ask("systemctl", "cat", "voice-agent").returncode == 1
    assert fleet.controller.run("uninstall.yml").changed == 0
