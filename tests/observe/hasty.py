"""What is delivered in deploy/prometheus, made to run on this machine, and in shorter time if wanted."""

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus"
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LEAST_S = 3
"""A range of less would not hold two looks, which are a second apart."""
LABELS = {"fleet": "trial", "site": "here", "instance": "this"}


def shortened(text: str, times: int) -> str:
    """The same, with ranges and patience so many times shorter."""

    def less(found: re.Match[str]) -> str:
        least_s = 1 if "interval" in found[1] else LEAST_S
        return f"{found[1]}{max(int(found[2]) * UNITS_S[found[3]] // times, least_s)}s"

    return re.sub(r"(\[|(?:for|interval|wait): |offset )(\d+)([smhdw])\b", less, text) if times > 1 else text


def prometheus(directory: Path, target: str, alertmanager: str, *, times: int = 1) -> Path:
    """Writes the configuration for one device that is asked without TLS; its path."""
    rules = directory / "rules"
    rules.mkdir(parents=True, exist_ok=True)
    for path in (DEPLOYED / "rules").glob("[a-o]*.yml"):
        (rules / path.name).write_text(shortened(path.read_text(), times))
    whole = _read("prometheus.yml", times)
    pace = "15s" if times == 1 else "1s"
    whole["global"] = {"scrape_interval": pace, "evaluation_interval": pace}
    whole["rule_files"] = [f"{rules}/*.yml"]
    whole["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    (job,) = whole["scrape_configs"]
    for elsewhere in ("tls_config", "basic_auth", "file_sd_configs", "relabel_configs"):
        del job[elsewhere]
    job |= {"scheme": "http", "static_configs": [{"targets": [target], "labels": LABELS}]}
    return _write(directory / "prometheus.yml", whole)


def agent(directory: Path, target: str, receiver: str, *, times: int = 1) -> Path:
    """Writes the configuration of a device that sends its figures itself; its path."""
    whole = _read("agent.yml", times)
    whole["global"]["scrape_interval"] = "15s" if times == 1 else "1s"
    whole["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    (remote,) = whole["remote_write"]
    del remote["basic_auth"]
    remote["url"] = f"http://{receiver}/api/v1/write"
    remote["queue_config"]["batch_send_deadline"] = "1s"
    return _write(directory / "agent.yml", whole)


def alertmanager(directory: Path, hook: str, *, times: int = 1) -> Path:
    """Writes the configuration with all its receivers at ``hook``; its path."""
    directory.mkdir(parents=True, exist_ok=True)
    whole = _read("alertmanager.yml", times)
    for receiver in whole["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{hook}/{receiver['name']}"}]
    return _write(directory / "alertmanager.yml", whole)


def _read(name: str, times: int) -> dict[str, Any]:
    whole = yaml.safe_load(shortened((DEPLOYED / name).read_text(), times))
    assert isinstance(whole, dict)
    return whole


def _write(path: Path, whole: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return path
