"""The unit and its companions, as systemd reads them; `make test-system` boots them."""

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from voice_agent.credentials import CREDENTIAL
from voice_agent.foreground import LEAVE_AFTER_S
from voice_agent.supervision import (
    LOOK_S,
    LOOP_LIMIT_S,
    MAX_CURES,
    OVERDUE_LOOKS,
    RECURE_LOOKS,
    REPORT_S,
)

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "voice-agent.service"
NEWER = {"RestartSteps", "RestartMaxDelaySec", "ImportCredential"}
"""What Debian 12's systemd passes over, with a word in the log."""
MAX_EXPOSURE = 1.5

analyzing = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (package systemd)"
)


class Repeating(dict[str, str]):
    """A key that is said again adds a line."""

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list) and isinstance(earlier := self.get(key), list):
            value = [*earlier, *value]
        super().__setitem__(key, value)  # type: ignore[assignment]


def service() -> dict[str, str]:
    parser = ConfigParser(dict_type=Repeating, strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def said_of(*command: str) -> str:
    environment = os.environ | {"SYSTEMD_LOG_TARGET": "console", "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@analyzing
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^(Exec\w+)=\S+", r"\1=/bin/true", UNIT.read_text()))
    complaints = [line for line in said_of("systemd-analyze", "verify", str(copy)).splitlines() if line]
    unknown = [re.search(r"Unknown key(?: name)? '(\w+)'", line) for line in complaints]
    strange = [
        line for line, key in zip(complaints, unknown, strict=True) if key is None or key[1] not in NEWER
    ]
    assert [line for line in strange if UNIT.name in line] == []


@analyzing
def test_little_is_exposed() -> None:
    said = said_of("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT))
    exposure = re.search(r"Overall exposure level for voice-agent.service: (\d+\.\d+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= MAX_EXPOSURE, said


def test_what_a_restart_cannot_cure_is_left_to_people() -> None:
    held_back = {int(code) for code in service()["RestartPreventExitStatus"].split()}
    assert held_back == {os.EX_USAGE, os.EX_NOINPUT, os.EX_CONFIG}


def test_the_daemon_is_quicker_than_systemd_at_ending_itself() -> None:
    assert float(service()["WatchdogSec"]) > LOOP_LIMIT_S + REPORT_S
    assert float(service()["WatchdogSec"]) > LOOK_S * (OVERDUE_LOOKS + MAX_CURES * RECURE_LOOKS)
    assert LEAVE_AFTER_S < float(service()["TimeoutStopSec"]) <= 5


def test_a_reload_asks_the_daemon_and_waits() -> None:
    assert service()["ExecReload"] == "voice-agent reload"
    assert service()["Type"] == "notify", "Debian 12 has no notify-reload"


def test_the_credential_is_found_under_the_name_that_the_daemon_looks_for() -> None:
    assert Path(CREDENTIAL).match(service()["ImportCredential"])
    assert f"/etc/credstore/{CREDENTIAL}" in (SYSTEMD / "credentials.md").read_text()


def test_sound_cards_may_be_used_although_devices_are_closed() -> None:
    wanted = service()
    assert wanted["DevicePolicy"] == "closed"
    assert wanted["DeviceAllow"].splitlines() == ["char-alsa rw", "char-input r"]
    assert wanted.get("PrivateDevices", "no") == "no"


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_the_user_of_the_unit_is_made_and_may_use_sound(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("audio:x:29:\n")
    conf = SYSTEMD / "sysusers.d/voice-agent.conf"
    said = said_of("systemd-sysusers", f"--root={tmp_path}", str(conf))
    wanted = service()
    assert f"{wanted['User']}:x:" in (tmp_path / "etc/passwd").read_text(), said
    assert f"audio:x:29:{wanted['User']}" in (tmp_path / "etc/group").read_text()
