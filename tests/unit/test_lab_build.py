"""Building the virtual sound card, and saying what is missing when that is not possible."""

import subprocess
from pathlib import Path

import pytest

from voice_agent.errors import LabUnavailable
from voice_agent.lab import build


def compiler_that(does: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a ``gcc`` of our own making in front of the system's, and nothing else."""
    directory.mkdir()
    gcc = directory / "gcc"
    gcc.write_text(f"#!/bin/sh\n{does}\n")
    gcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.audio
def test_the_plugin_compiles_without_a_warning(tmp_path: Path) -> None:
    here = Path(build.__file__).parent
    strict = ("-Werror", "-pedantic", "-Wshadow", "-Wstrict-prototypes", "-Wformat=2")
    sources = [str(here / name) for name in build.SOURCES]
    command = [*build.COMPILE, *strict, *sources, "-o", str(tmp_path / "x.so"), *build.LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.audio
def test_a_plugin_is_built_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build.build_plugin(tmp_path / "cache")
    monkeypatch.setenv("PATH", "")
    assert build.build_plugin(tmp_path / "cache") == built
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [built.name]


def test_other_sources_or_flags_make_another_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler_that('while [ "$1" != -o ]; do shift; done; : > "$2"', tmp_path / "bin", monkeypatch)
    first = build.build_plugin(tmp_path)
    monkeypatch.setattr(build, "COMPILE", (*build.COMPILE, "-g"))
    assert build.build_plugin(tmp_path) != first


def test_plugins_are_kept_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.default_build_directory() == tmp_path / "voice-agent"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert build.default_build_directory() == Path("/home/somebody/.cache/voice-agent")


def test_without_a_compiler_the_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabUnavailable, match="apt-get install gcc"):
        build.build_plugin(tmp_path)


@pytest.mark.parametrize(
    "complaint",
    [
        "fatal error: alsa/asoundlib.h: No such file or directory",
        "/usr/bin/ld: cannot find -lasound",
    ],
)
def test_without_alsas_headers_the_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str
) -> None:
    compiler_that(f"echo '{complaint}' >&2; exit 1", tmp_path / "bin", monkeypatch)
    with pytest.raises(LabUnavailable, match="libasound2-dev"):
        build.build_plugin(tmp_path)


def test_any_other_complaint_is_passed_on_and_nothing_half_built_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler_that("echo 'internal compiler error' >&2; exit 4", tmp_path / "bin", monkeypatch)
    with pytest.raises(LabUnavailable, match="internal compiler error"):
        build.build_plugin(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
