"""The page on threats names things that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threats.md").read_text()
BASES = (ROOT, ROOT / "tests", ROOT / "daemon" / "voice_agent")


def test_what_the_page_on_threats_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[\w/.-]*|\w+\.py)`", PAGE)) - {"dist/"}
    missing = {name for name in named if not any((base / name).exists() for base in BASES)}
    assert len(named) > 15
    assert not missing


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)
