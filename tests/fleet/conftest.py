"""The fleet that all scenes share: two devices with Debian 13 and one with 12, and who looks after them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fleet import image, model, versions
from tests.fleet.controller import VENV, Controller, Run
from tests.fleet.devices import Device, devices, ssh_key, switch
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
    """Devices in the order in which they are rolled out, and the first run that made them what they are."""

    controller: Controller
    devices: list[Device]
    versions: Mapping[str, Version]
    first: Run

    @property
    def canary(self) -> Device:
        return self.devices[0]

    @property
    def others(self) -> list[Device]:
        return self.devices[1:]

    def processes(self) -> list[str]:
        return [device.process for device in self.devices]

    def version(self, number: str) -> dict[str, object]:
        return self.versions[number].variables()


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
    names = [("kitchen", trixie), ("hall", bookworm), ("attic", trixie)]
    with switch() as there, model.providers(there, folder), devices(there, names, public) as made:
        controller = Controller(folder, there, made, private)
        controller.base = {
            "voice_agent_config": CONFIG,
            "voice_agent_wheels": str(wheels),
            "voice_agent_ready_s": 20,
            **built[TODAY].variables(),
        }
        controller.vaulted = {"voice_agent_secrets": {"api-key": KEY}}
        yield Fleet(controller, made, built, controller.run("site.yml"))
