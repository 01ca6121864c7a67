"""What the three Prometheuses of a run are told: the one that scrapes a fleet, an agent, and who receives."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.fleetsim.prometheus import HOST
from tests.observe.programs import tried

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = SHIPPED / "rules"
AGENT = SHIPPED / "agent.yml"
AGENT_INTERVAL_S = 30.0
"""Between its scrapes."""


def usable_rules() -> tuple[list[Path], list[str]]:
    """The project's rules that promtool understands, and the names of those that it does not."""
    found = [path for path in sorted(RULES.glob("*.yml")) if not path.stem.endswith(".example")]
    fine = [path for path in found if _is_fine(path)]
    return fine, [path.name for path in found if path not in fine]


def _is_fine(path: Path) -> bool:
    code, _ = tried("promtool", "check", "rules", str(path))
    return code == 0


def main_config(targets: Path, interval_s: int, rules: Sequence[Path], drop: str) -> str:
    """Scrapes everybody and itself. JSON is YAML, too."""
    dropped = [{"source_labels": ["__name__"], "regex": drop, "action": "drop"}] if drop else []
    return _text(
        interval_s,
        rule_files=[str(path) for path in rules],
        scrape_configs=[
            {
                "job_name": "voice-agent",
                "file_sd_configs": [{"files": [str(targets)]}],
                "metric_relabel_configs": dropped,
            }
        ],
    )


def agent_config(farm_port: int, device: int, far_port: int) -> str:
    """The one that is shipped for devices behind routers, with other addresses."""
    config: dict[str, Any] = yaml.safe_load(AGENT.read_text())
    (scraped,), (written,) = config["scrape_configs"], config["remote_write"]
    labels = {"instance": f"device-{device:05}"}
    scraped["metrics_path"] = f"/{device}/metrics"
    scraped["static_configs"] = [{"targets": [f"{HOST}:{farm_port}"], "labels": labels}]
    written["url"] = f"http://{HOST}:{far_port}/api/v1/write"
    written.pop("basic_auth")
    return json.dumps(config, indent=1)


def receiver_config() -> str:
    """Scrapes nobody."""
    return _text(15)


def _text(interval_s: int, **rest: Sequence[object]) -> str:
    common = {"scrape_interval": f"{interval_s}s", "scrape_timeout": f"{min(interval_s, 10)}s"}
    return json.dumps({"global": common, **rest}, indent=1)
