"""Rules, their trials and their pages agree with each other and with what the daemon exports."""

import re
from pathlib import Path
from typing import Any, get_args

import promql_parser as promql
import pytest
import yaml

from tests.grafana.vocabulary import given, labels_of, parsed
from tests.observe.__main__ import main as observe
from tests.observe.hasty import UNITS_S, shortened
from voice_agent.audio.names import Direction
from voice_agent.audio.quiet import QUIET_S
from voice_agent.audio.states import Restart
from voice_agent.cli import main
from voice_agent.config.schema import Config, Provider
from voice_agent.dialogue.manners import Outcome
from voice_agent.errors import Cause
from voice_agent.telemetry.counters import FIRST_AUDIO_S
from voice_agent.telemetry.snapshot import STATES

ROOT = Path(__file__).parents[2]
DEPLOYED = ROOT / "deploy" / "prometheus"
PAGES = ROOT / "docs" / "runbooks"
TRIALS = [
    check
    for path in sorted((Path(__file__).parent / "rules").glob("*.yml"))
    for trial in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["tests"]
    for check in trial["promql_expr_test"]
]

GROUPS: dict[str, dict[str, Any]] = {
    group["name"]: group
    for path in sorted((DEPLOYED / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
}
RULES: list[dict[str, Any]] = [rule for group in GROUPS.values() for rule in group["rules"]]
PROMETHEUS = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
ALERTMANAGER = yaml.safe_load((DEPLOYED / "alertmanager.yml").read_text())
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
VALUES = {
    "state": {*STATES},
    "cause": {*Cause},
    "reason": {*Restart},
    "direction": {direction.value for direction in Direction},
    "outcome": {*get_args(Outcome), "remote"},
    "le": {str(bound) for bound in (*FIRST_AUDIO_S, *QUIET_S)},
    "job": {"voice-agent"},
    "file": {".*voice-agent.prom"},
}
"""What may stand behind a label in a rule."""

EACH_ALERT = pytest.mark.parametrize("name", ALERTS)


def matchers(expr: str) -> set[tuple[str, str]]:
    """Labels and the values that are asked for, one by one."""
    found: set[tuple[str, str]] = set()

    def note(each: promql.Expr) -> None:
        match each:
            case promql.VectorSelector():
                asked = each.matchers.matchers
            case promql.MatrixSelector():
                asked = each.vector_selector.matchers.matchers
            case _:
                return
        for matcher in asked:
            found.update((matcher.name, value) for value in matcher.value.split("|"))

    promql.walk(parsed(expr), note)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_what_there_is(rule: dict[str, Any]) -> None:
    given(parsed(rule["expr"]))
    strange = {(label, value) for label, value in matchers(rule["expr"]) if value not in VALUES[label]}
    assert not strange


def test_a_recorded_name_says_whose_figure_it_is() -> None:
    for name in (rule["record"] for rule in RULES if "record" in rule):
        level, _, _ = name.partition(":")
        assert level in {"voice_agent", "voice_agent_fleet"}, name
        if level == "voice_agent_fleet":
            assert "instance" not in labels_of(name), f"{name} would be as many as there are devices"


def seconds(text: str) -> int:
    """Of a duration such as ``5m``."""
    return int(text[:-1]) * UNITS_S[text[-1]]


def interval_s(group: dict[str, Any]) -> int:
    return seconds(group.get("interval", PROMETHEUS["global"]["evaluation_interval"]))


@pytest.mark.parametrize("name", GROUPS)
def test_rules_are_computed_as_often_as_it_is_worth(name: str) -> None:
    group = GROUPS[name]
    if any("record" in rule for rule in group["rules"]):
        assert interval_s(group) <= 120, (
            "a figure stands for five minutes, and must be there when one is late"
        )
    exprs = [rule["expr"] for rule in group["rules"] if "voice_agent_fleet:" not in rule["expr"]]
    back_s = max(map(seconds, re.findall(r"\[(\d+[smhdw])\]", str(exprs))), default=0)
    assert back_s < 3600 or interval_s(group) >= 60, "an hour of each device, twice a minute"
    assert back_s < 86400 or interval_s(group) >= 300, "a day of each device, every minute"


@EACH_ALERT
def test_an_alert_says_what_people_need_to_know(name: str) -> None:
    rule = ALERTS[name]
    told = rule["annotations"]
    assert name.startswith("VoiceAgent")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert {*told} == {"summary", "description", "runbook_url"}
    assert len(told["summary"]) < 120
    assert not told["summary"].endswith(".")
    assert told["description"].endswith(".")
    assert told["runbook_url"].endswith(f"/docs/runbooks/{name}.md")


@EACH_ALERT
def test_an_alert_fills_in_only_labels_that_it_has(name: str) -> None:
    rule = ALERTS[name]
    used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert used <= given(parsed(rule["expr"]))
    whose = "{{ $labels.instance }}", "{{ $labels.fleet }}", "{{ $labels.site }}"
    assert name == "VoiceAgentNothingSeen" or any(each in rule["annotations"]["summary"] for each in whose)


@EACH_ALERT
def test_only_what_concerns_many_wakes_somebody(name: str) -> None:
    rule = ALERTS[name]
    wakes = rule["labels"]["severity"] == "critical"
    assert not (wakes and "instance" in given(parsed(rule["expr"])))


@EACH_ALERT
def test_an_alert_was_seen_to_fire_and_seen_to_be_silent(name: str) -> None:
    asked = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    assert {True, False} == {bool(check["exp_samples"]) for check in TRIALS if check["expr"] == asked}


@EACH_ALERT
def test_an_alert_has_a_page_that_says_what_to_do(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)", page, re.MULTILINE) == ["Look", "Do", "When it is false"]


def test_there_is_no_page_without_an_alert_and_the_list_has_all() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == {*ALERTS}
    index = (PAGES / "README.md").read_text()
    listed = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", index, re.MULTILINE))
    assert listed == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_a_page_asks_only_for_what_there_is(path: Path) -> None:
    page = path.read_text()
    for block in re.findall(r"```promql\n(.*?)```", page, re.DOTALL):
        for query in filter(None, block.split("\n")):
            given(parsed(query))
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in link]
    assert not [link for link in links if not (path.parent / link).exists()]


def test_pages_name_settings_that_there_are() -> None:
    text = "".join(path.read_text() for path in PAGES.glob("*.md"))
    named = set(re.findall(r"`((?:\w+\.)+\w+)(?: = [^`]*)?`", text)) - {"objectives.yml"}
    assert len(named) > 10
    for setting in named:
        place: Any = Config(provider=Provider(kind="local"))
        for name in setting.split("."):
            assert hasattr(place, name), setting
            place = getattr(place, name)


def test_pages_name_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    text = "".join(path.read_text() for path in PAGES.glob("*.md"))
    assert set(re.findall(r"voice-agent ([a-z][a-z-]*)(?: --[a-z]+[^`\n]*)?`", text)) <= commands


def test_pages_name_events_that_are_logged() -> None:
    text = "".join(path.read_text() for path in PAGES.glob("*.md"))
    source = "".join(path.read_text() for path in (ROOT / "daemon").rglob("*.py"))
    events = set(re.findall(r'VOICE_AGENT_EVENT="([^"]+)"', text))
    assert len(events) > 3
    assert not {event for event in events if f'"{event}"' not in source}


def test_whom_to_observe_is_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("kitchen", ":9477", "kitchen:http"):
        monkeypatch.setattr("sys.argv", ["observe", "--target", target])
        with pytest.raises(SystemExit) as ended:
            observe()
        assert ended.value.code == 2


def named(matcher: str) -> set[str]:
    """The alerts that Alertmanager would find."""
    (wanted,) = re.findall(r"alertname =~? \"?([^\"]+)", matcher)
    return {name for name in ALERTS if re.fullmatch(wanted, name)}


def test_inhibitions_and_routes_speak_of_alerts_that_there_are() -> None:
    matchers = [
        *(matcher for rule in ALERTMANAGER["inhibit_rules"] for matcher in rule["source_matchers"]),
        *(matcher for rule in ALERTMANAGER["inhibit_rules"] for matcher in rule["target_matchers"]),
        *(matcher for route in ALERTMANAGER["route"]["routes"] for matcher in route["matchers"]),
    ]
    for matcher in matchers:
        assert "alertname" not in matcher or named(matcher), matcher


@pytest.mark.parametrize(
    ("cause", "kept_back", "of_the_same"),
    [
        ("FleetCannotConverse", "SiteCannotConverse", {"fleet"}),
        ("FleetCannotConverse", "NoSession", {"fleet"}),
        ("SiteCannotConverse", "Down", {"fleet", "site"}),
        ("FleetShrinks", "Gone", {"fleet"}),
        ("NothingSeen", "Gone", set()),
        ("LatencyBurnsFast", "AnswersSlow", {"fleet"}),
        ("LatencyBurnsFast", "LatencyBurnsSlowly", {"fleet"}),
        ("Down", "Reconnects", {"fleet", "site", "instance"}),
    ],
)
def test_what_many_have_is_not_told_of_each(cause: str, kept_back: str, of_the_same: set[str]) -> None:
    rules = [
        {*rule.get("equal", ())}
        for rule in ALERTMANAGER["inhibit_rules"]
        for source in rule["source_matchers"]
        for target in rule["target_matchers"]
        if f"VoiceAgent{cause}" in named(source) and f"VoiceAgent{kept_back}" in named(target)
    ]
    assert of_the_same in rules


@pytest.mark.parametrize("cause", ["VoiceAgentFleetCannotConverse", "VoiceAgentSiteCannotConverse"])
def test_tickets_of_devices_wait_until_that_of_all_can_be_there(cause: str) -> None:
    recorded_s = interval_s(GROUPS["voice-agent-devices"]) + interval_s(GROUPS["voice-agent-fleet"])
    comes_s = recorded_s + interval_s(GROUPS["voice-agent-fleet-alerts"]) + seconds(ALERTS[cause]["for"])
    told_s = seconds(ALERTS["VoiceAgentDown"]["for"]) + seconds(ALERTMANAGER["route"]["group_wait"])
    assert comes_s <= told_s


@pytest.mark.parametrize(
    ("given_name", "name"), [("", "kitchen.example"), ("kitchen", "kitchen")], ids=["by address", "by list"]
)
def test_a_device_keeps_the_name_that_the_list_gives_it(given_name: str, name: str) -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    (rule,) = job["relabel_configs"]
    labels = {"instance": given_name, "__address__": "kitchen.example:9477"}
    joined = ";".join(labels[label] for label in rule["source_labels"])
    if found := re.fullmatch(rule["regex"], joined):
        labels[rule["target_label"]] = found[1]
    assert labels["instance"] == name


def test_time_can_be_shortened() -> None:
    rules = "for: 10m\ninterval: 1m\nexpr: rate(a[1h]) > 3 * (a offset 1d)\n"
    assert shortened(rules, 60) == "for: 10s\ninterval: 1s\nexpr: rate(a[60s]) > 3 * (a offset 1440s)\n"
    assert shortened(rules, 1) == rules
