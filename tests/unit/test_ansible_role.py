"""The Ansible role, as far as it can be judged without Ansible: filters, and what it takes for granted."""

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from voice_agent import reloading
from voice_agent.config.reading import load

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "deploy/ansible/roles/voice_agent"
DAEMON = (ROOT / "deploy/requirements/daemon.txt").read_text()


def filters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("role_filters", ROLE / "filter_plugins/voice_agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILTERS = filters()
SCALARS = some.text() | some.integers(-(2**63), 2**63 - 1) | some.booleans() | some.floats(allow_nan=False)
VALUES = some.recursive(
    SCALARS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20
)


@settings(max_examples=25)
@given(some.dictionaries(some.text(), VALUES))
def test_whatever_the_inventory_says_is_read_back_as_it_was(sections: dict[str, object]) -> None:
    assert tomllib.loads(FILTERS.as_toml(sections)) == sections


def test_what_is_not_set_is_left_out_and_what_toml_has_not_is_refused() -> None:
    assert tomllib.loads(FILTERS.as_toml({"log": {"level": None}})) == {"log": {}}
    with pytest.raises(TypeError, match="TOML has no set"):
        FILTERS.as_toml({"log": {"level": {1}}})


def test_the_daemon_reads_a_configuration_of_every_shape_that_it_has(tmp_path: Path) -> None:
    command = {"name": "who", "description": "Who?", "argv": ["/usr/bin/id", "-un"]}
    sections = {"provider": {"kind": "openai"}, "tools": {"command": [command]}, "log": {"level": "debug"}}
    file = tmp_path / "config.toml"
    file.write_text(FILTERS.as_toml(sections))
    found = load(file)
    assert (found.provider.kind, found.tools.command[0].argv[1]) == ("openai", "-un")


def test_pins_lose_what_is_named_and_nothing_else() -> None:
    names = FILTERS.pinned_names(DAEMON)
    assert {"pyaudio", "numpy", "pywebrtc-audio"} <= set(names)
    left = FILTERS.pins_without(DAEMON, ["pyaudio", "numpy"])
    assert FILTERS.pinned_names(left) == [name for name in names if name not in {"pyaudio", "numpy"}]
    assert left.count("--hash") == DAEMON.count("--hash") - sum(
        block[0].count("--hash") for block in FILTERS.PIN.finditer(DAEMON) if block[1] in {"pyaudio", "numpy"}
    )


def test_extras_bring_what_the_daemon_needs_of_older_pythons_only() -> None:
    """Debian's packages have not brought it, and MCP's SDK takes it of every Python."""
    base, of_mcp = FILTERS.today_names(DAEMON), (ROOT / "deploy/requirements/mcp.txt").read_text()
    assert "numpy" in base
    assert "typing-extensions" in FILTERS.pinned_names(FILTERS.pins_without(of_mcp, base))


def test_what_a_reload_cannot_take_is_told_in_the_words_that_the_handler_looks_for() -> None:
    words = "takes a restart"
    assert words in (ROLE / "handlers/main.yml").read_text()
    assert words in Path(reloading.__file__).read_text()


def test_every_variable_is_explained_and_has_its_default() -> None:
    specs = (ROLE / "meta/argument_specs.yml").read_text()
    explained = set(re.findall(r"^      (voice_agent_\w+):$", specs, re.MULTILINE))
    defaults = set(re.findall(r"^(voice_agent_\w+):", (ROLE / "defaults/main.yml").read_text(), re.MULTILINE))
    assert explained - defaults == {"voice_agent_version"}
    assert defaults <= explained


def test_its_scripts_are_shell() -> None:
    for script in ("keep", "put-back", "tidy"):
        subprocess.run(["sh", "-n", ROLE / "files" / script], check=True)


def test_the_guide_speaks_of_variables_that_there_are() -> None:
    spoken = set(re.findall(r"voice_agent_\w+", (ROOT / "deploy/README.md").read_text()))
    playbooks = "".join(file.read_text() for file in ROLE.parents[1].glob("*.yml"))
    metrics = (ROOT / "docs/metrics.md").read_text()
    known = playbooks + metrics + (ROLE / "meta/argument_specs.yml").read_text()
    assert {name for name in spoken if not re.search(rf"\b{name}\b", known)} == set()


def test_a_vault_finds_room_beside_the_variables_of_a_group() -> None:
    """A file of the group's name would not be read any more once there is a folder of that name."""
    groups = ROLE.parents[1] / "inventory/group_vars"
    assert [each.name for each in groups.iterdir() if not each.is_dir()] == []
