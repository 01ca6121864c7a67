"""Optional packages beside Debian's own: seen in the right order, and only where they belong."""

import sys
from pathlib import Path

import pytest

from voice_agent import extras

SYSTEM = ["/usr/lib/python3.13", "/usr/local/lib/python3.13/dist-packages", "/usr/lib/python3/dist-packages"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a Python that was not started from a virtual environment."""
    monkeypatch.setattr(extras, "PLACE", tmp_path)
    monkeypatch.setattr(extras, "TOOL", tmp_path / "voice-agent-extras")
    monkeypatch.setattr(sys, "path", list(SYSTEM))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    (tmp_path / "voice-agent-extras").touch()
    made = tmp_path / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    made.mkdir(parents=True)
    return made


def test_extras_go_before_the_systems_packages_and_after_pythons_own(place: Path) -> None:
    extras.look_in()
    assert sys.path == [SYSTEM[0], str(place), *SYSTEM[1:]]


def test_extras_of_another_python_are_left_alone(place: Path) -> None:
    place.parent.rename(place.parents[1] / "python3.0")
    extras.look_in()
    assert sys.path == SYSTEM


def test_a_virtual_environment_has_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(place))
    extras.look_in()
    assert sys.path == SYSTEM
    assert extras.remedy("aec", "vad") == "pip install 'voice-agent[aec,vad]'"


@pytest.mark.usefixtures("place")
def test_the_remedy_is_the_command_that_works_here() -> None:
    assert extras.remedy("aec", "vad") == "voice-agent-extras aec vad"
    extras.TOOL.unlink()
    assert extras.remedy("mcp") == "pip install 'voice-agent[mcp]'"
