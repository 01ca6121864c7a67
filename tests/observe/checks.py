"""What Prometheus' own programs say of rules and settings. ``make check-rules`` plays these."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.observe.programs import Missing, program, tried

HERE = Path(__file__).parent
DEPLOYED = Path("deploy/prometheus")
RULES = sorted(str(path) for path in DEPLOYED.glob("rules/*.yml"))


def _can() -> bool:
    try:
        return bool(program("promtool") and program("amtool"))
    except Missing:
        return False


pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not _can(), reason="no promtool here: scripts/system-packages observe"),
]


def test_the_rules_are_rules() -> None:
    code, said = tried("promtool", "check", "rules", *RULES)
    assert code == 0, said
    assert len(re.findall("SUCCESS", said)) == len(RULES)


@pytest.mark.parametrize("arguments", [("prometheus.yml",), ("--agent", "agent.yml")], ids=" ".join)
def test_the_settings_of_prometheus_are_settings(arguments: tuple[str, ...]) -> None:
    *options, name = arguments
    code, said = tried("promtool", "check", "config", "--syntax-only", *options, str(DEPLOYED / name))
    assert code == 0, said


def test_what_the_readme_installs_is_found_whole(tmp_path: Path) -> None:
    for path in (DEPLOYED / "prometheus.yml", *DEPLOYED.glob("rules/*.yml"), *DEPLOYED.glob("targets/*.yml")):
        there = tmp_path / path.relative_to(DEPLOYED)
        there.parent.mkdir(exist_ok=True)
        there.write_text(path.read_text().replace("/etc/prometheus/", f"{tmp_path}/"))
    for name in ("voice-agent-password", "voice-agent-ca.pem"):
        (tmp_path / name).write_text("")
    code, said = tried("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert code == 0, said
    assert "example" not in said, "prices of nobody's would be on the boards"


def test_the_settings_of_alertmanager_are_settings() -> None:
    code, said = tried("amtool", "check-config", str(DEPLOYED / "alertmanager.yml"))
    assert code == 0, said


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "critical", "alertname": "VoiceAgentFleetCannotConverse"}, "pager"),
        ({"severity": "warning", "alertname": "VoiceAgentNoSession"}, "tickets"),
        ({"severity": "info", "alertname": "VoiceAgentMicrophoneMuted"}, "digest"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_severity_finds_its_receiver(labels: dict[str, str], receiver: str) -> None:
    given = [f"{name}={value}" for name, value in labels.items()]
    code, said = tried(
        "amtool", "config", "routes", "test", f"--config.file={DEPLOYED / 'alertmanager.yml'}", *given
    )
    assert (code, said.split()[-1]) == (0, receiver), said


def test_every_alert_fires_when_it_should_and_is_silent_when_it_should() -> None:
    files = sorted((HERE / "rules").glob("*.yml"), key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda path: tried("promtool", "test", "rules", str(path)), files))
    assert not [said for code, said in results if code != 0]
