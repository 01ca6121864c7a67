"""The fleet that all scenes share: two devices with Debian 13 and one with 12, and who looks after them.

kitchen   Debian 13, and the package as a file
hall      Debian 12, in a virtual environment
attic     Debian 13, the package from an apt repository; MCP servers, and metrics over TLS
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fakes.certificates import certificate
from tests.fleet import image, model, versions
from tests.fleet.controller import VENV, Controller
from tests.fleet.devices import REPOSITORY, Device, devices, ssh_key, switch
from tests.fleet.versions import TODAY, Version
from tests.nspawn.image import NotPossible

KEY = "sk-of-the-fleet-0123456789"
LIMIT_S = 900
CONFIG = {
    "provider": model.provider(model.ANSWERS),
    "session": {"instructions": "Be brief."},
    "audio": {"echo": "off", "input": {"flat_after_s": 0}},
    "cues": {"quiet": ["ready"]},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LIMIT_S))


class Fleet(NamedTuple):
    """Devices in the order in which they are rolled out; ``metrics_key``: of the attic's certificate."""

    controller: Controller
    devices: list[Device]
    versions: Mapping[str, Version]
    metrics_key: str

    @property
    def canary(self) -> Device:
        return self.devices[0]

    @property
    def others(self) -> list[Device]:
        return self.devices[1:]

    def processes(self) -> Mapping[str, str]:
        """Of the daemons, by the device's name."""
        return {device.name: device.process for device in self.devices}

    def restarted(self, before: Mapping[str, str]) -> set[str]:
        """Devices whose daemon is another one than then."""
        now = self.processes()
        return {name for name, process in before.items() if process != now[name]}

    def secrets(self, key: str) -> dict[str, object]:
        """What a vault has to keep, with this key for the provider."""
        return {"voice_agent_secrets": {"api-key": key, "metrics-key": self.metrics_key}}

    def version(self, number: str) -> dict[str, object]:
        return self.versions[number].variables()


def attic(certificate: str) -> dict[str, object]:
    """What it has that others have not."""
    return {
        "voice_agent_deb": "",
        "voice_agent_apt_source": f"Types: deb\nURIs: file:{REPOSITORY}\nSuites: ./\nTrusted: yes\n",
        "voice_agent_extras": ["aec", "vad", "mcp"],
        "voice_agent_certificate": certificate,
        "voice_agent_config_here": {"metrics": {"tls_cert_file": "/etc/voice-agent/metrics.pem"}},
    }


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    try:
        trixie, bookworm = image.debian("trixie"), image.debian("bookworm")
        wheels, built = image.wheels(), versions.build(folder)
    except NotPossible as error:
        pytest.skip(f"no fleet can be had here: {error}")
    if not (VENV / "bin/ansible-playbook").exists():
        pytest.skip("no Ansible here: make test-fleet installs it")
    private, public = ssh_key(folder)
    certificate(folder, "IP:127.0.0.1")
    names = [("kitchen", trixie), ("hall", bookworm), ("attic", trixie)]
    repository = versions.repository(folder, built.values())
    with (
        switch() as there,
        model.providers(there, folder),
        devices(there, names, public, repository) as made,
    ):
        controller = Controller(folder, there, made, private)
        controller.base = {
            "voice_agent_config": CONFIG,
            "voice_agent_wheels": str(wheels),
            "voice_agent_ready_s": 20,
            **built[TODAY].variables(),
        }
        controller.own["attic"] = attic((folder / "cert").read_text())
        arranged = Fleet(controller, made, built, (folder / "key").read_text())
        controller.vaulted = arranged.secrets(KEY)
        yield arranged
