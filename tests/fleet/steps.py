"""The steps of a roll-out, played by devices that only pretend: whom a failure stops, and what others keep.

Playbook, keeping and forgetting are real; what they would do to a device is not.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fleet.controller import PLAYBOOKS, VENV

ROLE = PLAYBOOKS / "roles" / "voice_agent"
NAMES = [f"device{number}" for number in range(1, 6)]
KEEP = '#!/bin/sh\nmkdir -p "$1" && echo "deb 1.0.0" >"$1/was" && touch "$1/complete"\n'
INSTALL = """
- name: Install
  ansible.builtin.command: "{{ 'false' if inventory_hostname in failing else 'true' }}"
- name: Lose the network
  ansible.builtin.set_fact: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
  when: inventory_hostname in lost
"""
GATE = "- name: Gate\n  ansible.builtin.command: 'true'\n"
Play = Callable[..., str]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Plays it with some devices that fail or are lost on the way; what Ansible says."""
    if not (VENV / "bin/ansible-playbook").exists():
        pytest.skip("no Ansible here: make test-fleet installs it")
    shutil.copy(PLAYBOOKS / "rollout.yml", tmp_path)
    role = tmp_path / "roles" / "voice_agent"
    for task in ("keep", "forget", "put_back"):
        _write(role / f"tasks/{task}.yml", (ROLE / f"tasks/{task}.yml").read_text())
    made = {"main": INSTALL, "gate": GATE, "dpkg": "[]", "tidy": "[]"}
    for task, text in made.items():
        _write(role / f"tasks/{task}.yml", text)
    places = {
        "voice_agent_kept": f"{tmp_path}/kept/{{{{ inventory_hostname }}}}",
        "voice_agent_cache": "nowhere",
    }
    _write(role / "vars/main.yml", json.dumps(places))
    _write(role / "files/keep", KEEP)
    _write(role / "files/put-back", "#!/bin/sh\n")
    shared = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    inventory = {"voice_agents": {"hosts": {name: {} for name in NAMES}, "vars": shared}}
    _write(tmp_path / "hosts.json", json.dumps(inventory))

    def played(**more: object) -> str:
        given = json.dumps({"failing": [], "lost": [], **more})
        command = [str(VENV / "bin/ansible-playbook"), "-i", "hosts.json", "-e", given, "rollout.yml"]
        environ = os.environ | {
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        return done.stdout + done.stderr

    return played


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def touched(said: str) -> Mapping[str, int]:
    """The devices that it came to; how often each failed."""
    found = re.findall(r"^(device\d) +: .*failed=(\d)", said.rpartition("PLAY RECAP")[2], re.MULTILINE)
    return {name: int(failed) for name, failed in found}


def test_who_is_well_in_a_step_that_fails_does_not_go_back_by_it_later(play: Play, tmp_path: Path) -> None:
    said = play(failing=["device3"], voice_agent_serial=[1, 3, "100%"])
    assert touched(said) == {"device1": 0, "device2": 0, "device3": 1, "device4": 0}
    assert "is back at deb 1.0.0. What the device says" in said
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_roll_out_that_takes_devices_off_their_network_stops(play: Play, tmp_path: Path) -> None:
    said = play(lost=["device3"], voice_agent_serial=[1, 3, "100%"])
    assert set(touched(said)) == set(NAMES[:4])
    assert "device3 answered at the beginning of the roll-out" in said
    assert [kept.name for kept in (tmp_path / "kept").iterdir()] == ["device3"]


def test_some_may_fail_in_a_large_fleet_if_that_is_said_but_never_the_canary(play: Play) -> None:
    went_on = play(failing=["device3"], voice_agent_serial=[1, 3, "100%"], voice_agent_may_fail=40)
    assert touched(went_on) == {name: int(name == "device3") for name in NAMES}
    assert set(touched(play(failing=["device1"], voice_agent_may_fail=40))) == {"device1"}
