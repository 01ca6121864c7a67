"""What a device installs is what pyproject.toml asks for: pinned, with hashes, and from nowhere special."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ("3.11", "3.13")
"""Of Debian 12 and 13."""

SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")
OURS = "voice-agent (pyproject.toml"
"""Who asked, in the resolver's words, when it was this project."""


class Pin(NamedTuple):
    """One entry. ``asked_by``: for whose sake it is there."""

    requirement: Requirement
    hashes: frozenset[str]
    asked_by: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    def is_for(self, python: str) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate({"python_version": python, "python_full_version": python})


def read(name: str) -> tuple[Pin, ...]:
    """All entries of a lock file; fails on any line that is something else."""
    entries: list[list[str]] = []
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("    "):
            entries[-1].append(line.strip())
        elif not line.startswith("#"):
            entries.append([line])
    return tuple(_pin(entry) for entry in entries)


def _pin(lines: list[str]) -> Pin:
    requirement, *rest = (line.removesuffix("\\").strip() for line in lines)
    hashes = [line for line in rest if not line.startswith("#")]
    assert all(SHA256.fullmatch(each) for each in hashes), requirement
    words = (line.removeprefix("# via").removeprefix("#").strip() for line in rest if line.startswith("#"))
    asked_by = tuple(word for word in words if word and not word.startswith("-c "))
    return Pin(Requirement(requirement), frozenset(hashes), asked_by)


def wanted(*extras: str) -> list[str]:
    optional: Mapping[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    return [*PROJECT["project"]["dependencies"], *(each for extra in extras for each in optional[extra])]


WANTED = {
    "daemon.txt": wanted("aec", "vad"),
    "mcp.txt": wanted("aec", "vad", "mcp"),
    "build.txt": PROJECT["dependency-groups"]["build"],
}
each_lock = pytest.mark.parametrize("name", WANTED)


def test_there_are_no_other_lock_files() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(WANTED)


@each_lock
def test_every_entry_is_one_version_with_hashes_and_from_nowhere_in_particular(name: str) -> None:
    for pin in read(name):
        (specifier,) = pin.requirement.specifier
        assert specifier.operator == "==", pin.name
        assert "*" not in specifier.version, pin.name
        assert pin.requirement.url is None, pin.name
        assert pin.hashes, pin.name


@each_lock
def test_no_index_is_named(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not re.search(r"://|--(?:extra-)?index|--find-links|--trusted", text)


@each_lock
@pytest.mark.parametrize("python", PYTHONS)
def test_what_the_project_asks_for_is_pinned_within_its_bounds(name: str, python: str) -> None:
    pinned = {pin.name: next(iter(pin.requirement.specifier)).version for pin in _for(name, python)}
    for requirement in map(Requirement, WANTED[name]):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}: make lock"


@each_lock
@pytest.mark.parametrize("python", PYTHONS)
def test_nothing_is_pinned_twice(name: str, python: str) -> None:
    names = [pin.name for pin in _for(name, python)]
    assert len(names) == len(set(names))


@each_lock
def test_everything_is_there_for_the_sake_of_something_that_is_asked_for(name: str) -> None:
    pins = read(name)
    ours = {canonicalize_name(Requirement(each).name) for each in WANTED[name]}
    assert {pin.name for pin in pins if any(by.startswith(OURS) for by in pin.asked_by)} == ours
    reached: set[str] = set(ours)
    while more := {pin.name for pin in pins if reached & set(pin.asked_by)} - reached:
        reached |= more
    assert {pin.name for pin in pins} == reached


@pytest.mark.parametrize("python", PYTHONS)
def test_a_package_is_the_same_one_with_and_without_the_extra(python: str) -> None:
    larger = {pin.name: (pin.requirement.specifier, pin.hashes) for pin in _for("mcp.txt", python)}
    for pin in _for("daemon.txt", python):
        assert larger[pin.name] == (pin.requirement.specifier, pin.hashes)


def test_what_the_build_itself_asks_for_is_among_what_is_pinned_for_it() -> None:
    pinned = {pin.name for pin in read("build.txt")}
    asked = {canonicalize_name(Requirement(each).name) for each in PROJECT["build-system"]["requires"]}
    assert asked <= pinned


def _for(name: str, python: str) -> Iterator[Pin]:
    return (pin for pin in read(name) if pin.is_for(python))
