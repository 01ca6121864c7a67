"""The controller: runs the playbooks of deploy/ansible over ssh, and keeps all that they say."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fleet.devices import USER, Device, Switch
from tests.nspawn.image import ROOT

PLAYBOOKS = ROOT / "deploy" / "ansible"
VENV = ROOT / ".venv-ansible"
RUN_S = 600
Variables = Mapping[str, object]


class Tally(NamedTuple):
    """What Ansible's recap says of a device."""

    changed: int
    failed: int
    unreachable: int
    rescued: int


class Run(NamedTuple):
    """One run of a playbook; devices that it never came to are in no tally."""

    code: int
    said: str
    tallies: Mapping[str, Tally]

    @property
    def changed(self) -> int:
        """On all devices."""
        return sum(tally.changed for tally in self.tallies.values())


class Controller:
    """Of these devices.

    ``base``: variables of all of them, ``own``: of one of them, ``vaulted``: those that a vault keeps.
    """

    def __init__(self, folder: Path, switch: Switch, devices: Sequence[Device], key: Path) -> None:
        self.said = ""
        self._runs = 0
        self._folder = folder
        self._switch = switch
        self._key = key
        self.base: dict[str, object] = {}
        self.own: dict[str, Variables] = {}
        self.vaulted: dict[str, object] = {}
        self.hosts = {device.name: device.address for device in devices}

    def run(
        self,
        playbook: str,
        more: Variables | None = None,
        *options: str,
        also: Mapping[str, str] | None = None,
    ) -> Run:
        """To its end. ``also``: devices that are in the inventory for this once."""
        command = [str(VENV / "bin/ansible-playbook"), "-i", str(self._inventory(also or {}))]
        command += ["-e", f"@{self._given(more or {})}", "-e", f"@{self._vault()}", "--diff", "-v", *options]
        self._runs += 1
        file = self._folder / f"run-{self._runs:02}.log"
        with file.open("w") as log:
            done = subprocess.run(
                self._switch.inside(*command, str(PLAYBOOKS / playbook)),
                env=self._environ(),
                cwd=PLAYBOOKS,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=RUN_S,
                check=False,
            )
        said = file.read_text()
        self.said += said
        return Run(done.returncode, said, dict(_tallies(said)))

    def _inventory(self, also: Mapping[str, str]) -> Path:
        everybody = {**self.hosts, **also}
        hosts = {
            name: {"ansible_host": address, **self.own.get(name, {})} for name, address in everybody.items()
        }
        ssh = {"ansible_user": USER, "ansible_ssh_private_key_file": str(self._key)}
        file = self._folder / "hosts.json"
        file.write_text(json.dumps({"voice_agents": {"hosts": hosts, "vars": {**ssh, **self.base}}}))
        return file

    def _given(self, more: Variables) -> Path:
        file = self._folder / "variables.json"
        file.write_text(json.dumps(more))
        return file

    def _vault(self) -> Path:
        """Encrypted, as operators have it."""
        password, file = self._folder / "vault-password", self._folder / "vault.yml"
        password.write_text("of the vault\n")
        subprocess.run(
            [VENV / "bin/ansible-vault", "encrypt", "--output", file],
            input=json.dumps(self.vaulted),
            env=self._environ(),
            cwd=PLAYBOOKS,
            text=True,
            check=True,
            capture_output=True,
        )
        return file

    def _environ(self) -> dict[str, str]:
        known = f"-o UserKnownHostsFile={self._folder}/known -o StrictHostKeyChecking=accept-new"
        return os.environ | {
            "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
            "ANSIBLE_LOG_PATH": str(self._folder / "ansible.log"),  # with times
            "ANSIBLE_HOME": str(self._folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_COMMON_ARGS": known,
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._folder / "cp"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self._folder / "vault-password"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{VENV}/bin:{os.environ['PATH']}",
            "TZ": "Asia/Kathmandu",  # as operators have one, and devices another
        }


def _tallies(said: str) -> list[tuple[str, Tally]]:
    recap = said.rpartition("PLAY RECAP")[2]
    found = re.findall(
        r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+).*?rescued=(\d+)",
        recap,
        re.MULTILINE,
    )
    return [(name, Tally(int(c), int(f), int(u), int(r))) for name, c, u, f, r in found]
