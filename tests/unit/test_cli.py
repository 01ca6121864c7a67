"""The command line: exit codes and words, as a user meets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voice_agent import __version__, cli
from voice_agent.config import Config, parse
from voice_agent.credentials import VARIABLE

DAEMON = Path(cli.__file__).parents[1]


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command in this process."""
    hook = sys.excepthook
    try:
        code = cli.main(argv)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        sys.excepthook = hook
    return code, *capsys.readouterr()


def configured(folder: Path, text: str) -> str:
    file = folder / "config.toml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["check"],
        ["check", "a", "b"],
        ["serve", "--port", "99999"],
        ["volume", "loud"],
        ["volume", "131"],
        ["volume", "+-5"],
        ["talk", "loudly"],
        ["mute", "now"],
    ],
)
def test_wrong_usage_ends_with_64_and_no_traceback(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = run(argv, capsys)
    assert code == os.EX_USAGE
    assert told.startswith("usage: voice-agent")
    assert "Traceback" not in told


@pytest.mark.parametrize("argv", [["check", "/nonexistent"], ["run", "--config", "/nonexistent"]])
def test_a_missing_configuration_ends_with_66_and_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = run(argv, capsys)
    assert code == os.EX_NOINPUT
    assert len(told.splitlines()) == 1
    assert "voice-agent config >" in told


def test_check_prints_every_problem_on_a_line_and_ends_with_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path, '[log]\nlevel = 3\n[session]\nvoise = "x"\n')
    code, said, told = run(["check", file], capsys)
    assert (code, said) == (os.EX_CONFIG, "")
    assert [line.partition(":")[0] for line in told.splitlines()] == ["log.level", "session.voise", file]
    assert told.endswith("2 problems\n")


def test_check_of_a_sound_file_says_so_and_where_the_key_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv(VARIABLE, "hunter2")
    code, said, told = run(["check", configured(tmp_path, "")], capsys)
    assert (code, told) == (os.EX_OK, "")
    assert "no problems" in said
    assert VARIABLE in said
    assert "hunter2" not in said


def test_check_finds_that_a_named_key_file_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    code, _, told = run(["check", configured(tmp_path, '[provider]\nkey_file = "/nonexistent"')], capsys)
    assert code == os.EX_CONFIG
    assert "provider.key_file" in told


def test_check_looks_at_the_operators_sounds_which_are_no_reason_to_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ready.wav").write_bytes(b"RIFF")
    file = configured(tmp_path, f'[cues]\nfolder = "{tmp_path}"')
    code, _, told = run(["check", file], capsys)
    assert code == os.EX_OK
    assert told.startswith(f"warning: {tmp_path}/ready.wav: it is cut off, or no WAV file; make it WAV")
    code, _, told = run(["check", configured(tmp_path, '[cues]\nfolder = "sounds"')], capsys)
    assert (code, told.partition(";")[0]) == (os.EX_CONFIG, "cues.folder: is not an absolute path")


@pytest.mark.parametrize("kind", ["openai", 'yandex"\nfolder = "b1g'])
def test_run_without_a_key_ends_with_78_and_the_three_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)
    code, _, told = run(["run", "--config", configured(tmp_path, f'[provider]\nkind = "{kind}"')], capsys)
    assert code == os.EX_CONFIG
    assert all(way in told for way in ("systemd credential", "provider.key_file", VARIABLE))


@pytest.mark.parametrize(
    "argv", [["mute"], ["unmute"], ["stop"], ["talk"], ["talk", "press"], ["volume"], ["volume", "-10"]]
)
def test_without_a_daemon_its_controls_end_with_69_and_one_line(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, told = run([*argv, "--socket", str(tmp_path / "control")], capsys)
    assert (code, said) == (os.EX_UNAVAILABLE, "")
    assert len(told.splitlines()) == 1
    assert "no daemon is listening" in told


def test_config_prints_a_file_that_means_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, told = run(["config"], capsys)
    assert (code, told) == (os.EX_OK, "")
    assert parse(said) == (Config(), [])


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capsys) == (os.EX_OK, f"voice-agent {__version__}\n", "")


def test_serving_a_script_that_is_not_there_ends_with_66(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, told = run(["serve", "--script", "/nonexistent"], capsys)
    assert code == os.EX_NOINPUT
    assert "/nonexistent" in told


def python(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        env={**os.environ, "PYTHONPATH": str(DAEMON)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    done = python(
        "import sys; from voice_agent.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pyaudio', 'msgspec', 'aiohttp', 'voice_agent.config'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(
        word in done.stdout for word in ("run", "check", "devices", "serve", "demo", "config", "examples")
    )


def test_a_name_that_the_terminal_has_no_letters_for_is_said_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "дом.toml"
    file.write_text('[provider]\nkind = "local"\n')
    code = (
        "import sys; from voice_agent import cli; sys.stdout.reconfigure(encoding='ascii', errors='strict')"
    )
    done = python(f"{code}\nsys.exit(cli.main(['check', sys.argv[1]]))", str(file))
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    assert r"\u0434\u043e\u043c.toml: no problems" in done.stdout


def test_a_bug_ends_with_70_and_its_traceback() -> None:
    done = python("from voice_agent import cli; cli._parser = lambda: 1 / 0; cli.main([])")
    assert done.returncode == os.EX_SOFTWARE
    assert "bug in voice-agent" in done.stderr
    assert "ZeroDivisionError" in done.stderr
