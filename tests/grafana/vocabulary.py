"""Which metrics there are, which labels each has, and what an expression asks for and gives."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import promql_parser as promql
import yaml

from voice_agent.telemetry.row import PREFIX, Row
from voice_agent.telemetry.table import ROWS

RULES = Path("deploy/prometheus/rules")
TARGET = {"job", "instance", "fleet", "site"}
"""What whoever scrapes adds to every series of a device."""
PROCESS = {"cpu_seconds_total", "max_fds", "open_fds", "resident_memory_bytes", "start_time_seconds"}
EVERYWHERE = {
    "up": TARGET,
    "ALERTS": {*TARGET, "alertname", "alertstate", "severity"},
    "voice_agent:price_per_second": {"direction", "currency"},  # where the operator gives such prices
    "node_textfile_mtime_seconds": {*TARGET, "file"},  # the node exporter's, of a file that the daemon writes
    "voice_agent_process_start_time_seconds": TARGET,  # as the process's own figures are called there
}
VARIABLES = {"$__rate_interval": "5m", "$__range_s": "3600", "$__range": "1h", "$window": "5m"}


class Unknown(AssertionError):
    """A metric or a label that is nowhere."""


class Rule(NamedTuple):
    expr: str
    labels: set[str]


@cache
def metrics() -> Mapping[str, frozenset[str]]:
    """Labels by the name of what a device exports, or Prometheus by itself."""
    known = {name: frozenset(labels) for name, labels in EVERYWHERE.items()}
    known |= {f"process_{name}": frozenset(TARGET) for name in PROCESS}
    for row in ROWS:
        labels = frozenset({*TARGET, *row.labels})
        known |= dict.fromkeys(_names(row), labels)
        if row.kind == "histogram":
            known[f"{PREFIX}{row.name}_bucket"] = labels | {"le"}
    return known


def _names(row: Row) -> list[str]:
    name = PREFIX + row.name
    return [f"{name}_sum", f"{name}_count"] if row.kind == "histogram" else [name]


@cache
def recorded() -> Mapping[str, Rule]:
    """Recording rules by name; where one name is recorded several times, the last."""
    rules = {}
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    rules[rule["record"]] = Rule(rule["expr"], {*rule.get("labels", {})})
    return rules


@cache
def alerts() -> Mapping[str, str]:
    """Expressions by the name of the alert."""
    groups = [
        group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


def parsed(expr: str) -> promql.Expr:
    """Grafana's variables are put in first; what is chosen by people stays a string."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return promql.parse(expr)


def numbers(expr: str) -> set[float]:
    """All that stand in it."""
    found: set[float] = set()
    promql.walk(
        parsed(expr), lambda each: found.add(each.val) if isinstance(each, promql.NumberLiteral) else None
    )
    return found


@cache
def labels_of(metric: str) -> frozenset[str]:
    """Those that a series of this name has. Raises Unknown."""
    if metric in recorded():
        rule = recorded()[metric]
        return frozenset(given(parsed(rule.expr)) | rule.labels)
    if metric not in metrics():
        raise Unknown(f"there is no metric {metric}")
    return metrics()[metric]


def given(expr: promql.Expr) -> set[str]:
    """The labels that its series have; all that it asks for on the way must exist. Raises Unknown."""
    match expr:
        case promql.VectorSelector():
            return _selected(expr)
        case promql.MatrixSelector():
            return _selected(expr.vector_selector)
        case promql.AggregateExpr():
            return _aggregated(expr)
        case promql.BinaryExpr():
            return _joined(expr)
        case promql.Call():
            return _called(expr)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return given(expr.expr)
        case promql.NumberLiteral() | promql.StringLiteral():
            return set()
    raise Unknown(f"a kind of expression that nobody thought of: {type(expr)}")


def _selected(selector: promql.VectorSelector) -> set[str]:
    has = set(labels_of(selector.name or ""))
    _all_exist({matcher.name for matcher in selector.matchers.matchers}, has, selector.name or "")
    return has


def _aggregated(expr: promql.AggregateExpr) -> set[str]:
    has, modifier = given(expr.expr), expr.modifier
    if modifier is None:
        return has if str(expr).startswith(("topk", "bottomk")) else set()
    named = set(modifier.labels)
    _all_exist(named, has, expr.prettify())
    return named if modifier.type == promql.AggModifierType.By else has - named


def _joined(expr: promql.BinaryExpr) -> set[str]:
    left, right, modifier = given(expr.lhs), given(expr.rhs), expr.modifier
    if modifier is None:
        return left or right
    if modifier.matching:
        _all_exist(set(modifier.matching.labels), left | right, expr.prettify())
    if str(modifier.card).endswith("ManyToMany"):  # or, unless
        return left | right if re.search(r"\bor\b", str(expr)) else left
    return left | set(modifier.group_labels or [])


def _called(expr: promql.Call) -> set[str]:
    has = set().union(*(given(each) for each in expr.args))
    if expr.func.name == "label_replace":
        return has | {expr.args[1].val}
    if expr.func.name in {"scalar", "vector", "time", "absent"}:
        return set()
    return has - {"le"} if expr.func.name == "histogram_quantile" else has


def _all_exist(asked: set[str], has: set[str], where: str) -> None:
    if unknown := asked - has:
        raise Unknown(f"no label {', '.join(sorted(unknown))} at {where}")


def legend_labels(legend: str) -> Iterator[str]:
    """Those that a name of a series is made from."""
    yield from re.findall(r"\{\{\s*(\w+)\s*\}\}", legend)
