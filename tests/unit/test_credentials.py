"""The key: where it is found, what is refused, and that nothing shows it."""

import logging
import pickle
from pathlib import Path

import pytest

from voice_agent.credentials import CREDENTIAL, VARIABLE, Secret, find_key, find_named
from voice_agent.errors import ConfigError


def key_file(folder: Path, text: str, mode: int = 0o600, name: str = "key") -> str:
    file = folder / name
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_a_secret_is_shown_by_reveal_only(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("hunter2")
    logging.getLogger().warning("%s %r", secret, secret)
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {caplog.text}"
    assert secret.reveal() == "hunter2"


def test_a_secret_cannot_be_stored() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))


def test_the_credential_comes_before_the_file_and_the_file_before_the_environment(tmp_path: Path) -> None:
    key_file(tmp_path, "from-credential", name=CREDENTIAL)
    named = key_file(tmp_path, "from-file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), VARIABLE: "from-environment"}
    found = []
    for key in (
        find_key(named, environ),
        find_key(named, {VARIABLE: environ[VARIABLE]}),
        find_key("", {VARIABLE: environ[VARIABLE]}),
        find_key("", {"CREDENTIALS_DIRECTORY": str(tmp_path / "other"), VARIABLE: "still"}),
    ):
        assert key is not None
        found.append(key.secret.reveal())
    assert found == ["from-credential", "from-file", "from-environment", "still"]


def test_no_key_anywhere_is_no_error() -> None:
    assert find_key("", {}) is None


def test_white_space_around_a_key_is_dropped(tmp_path: Path) -> None:
    key = find_key(key_file(tmp_path, "  AQVNkey\r\n\n"), {})
    assert key is not None
    assert key.secret.reveal() == "AQVNkey"


@pytest.mark.parametrize(("mode", "careless"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_key_that_everybody_can_read_is_warned_of(tmp_path: Path, mode: int, careless: bool) -> None:
    key = find_key(key_file(tmp_path, "k", mode), {})
    assert key is not None
    assert bool(key.warning) is careless


@pytest.mark.parametrize("text", ["Bearer abc", "KEY=a\nOTHER=b", "a\nb", "ключ", "a\x00b", "x" * 20_000])
def test_what_is_not_a_bare_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="bare key") as caught:
        find_key(key_file(tmp_path, text), {})
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_key_is_refused_with_the_three_ways(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=f"empty.*{VARIABLE}"):
        find_key(key_file(tmp_path, text), {})
    with pytest.raises(ConfigError, match="empty"):
        find_key("", {VARIABLE: text})


def test_a_named_file_that_is_not_there_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"provider\.key_file.*cannot read"):
        find_key(str(tmp_path / "none"), {VARIABLE: "other"})


# ------------------------------------------------------------------------------------- by their names


def test_a_named_credential_comes_from_systemd_before_the_environment(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "VOICE_AGENT_CREDENTIAL_HOME_TOKEN_2": "from-environ"}
    assert find_named("home-token.2", environ).reveal() == "from-environ"
    key_file(tmp_path, "from-credential\n", name="home-token.2")
    assert find_named("home-token.2", environ).reveal() == "from-credential"


def test_a_named_credential_that_was_renewed_is_read_anew(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = [
        find_named("t", environ).reveal() for text in ("old", "new") if key_file(tmp_path, text, name="t")
    ]
    assert found == ["old", "new"]


def test_a_named_credential_that_is_empty_is_not_taken_for_the_key_of_the_model(tmp_path: Path) -> None:
    key_file(tmp_path, " ", name="home")
    for environ in ({"CREDENTIALS_DIRECTORY": str(tmp_path)}, {"VOICE_AGENT_CREDENTIAL_HOME": ""}):
        with pytest.raises(ConfigError, match=r"the key is empty.*VOICE_AGENT_CREDENTIAL_HOME") as caught:
            find_named("home", environ)
        assert CREDENTIAL not in str(caught.value)


def test_a_named_credential_that_is_not_there_is_an_error_that_says_where_it_could_be() -> None:
    with pytest.raises(ConfigError, match="VOICE_AGENT_CREDENTIAL_HOME_TOKEN"):
        find_named("home-token", {})
