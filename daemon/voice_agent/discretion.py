"""What a peer says about a failure, without what it quotes: a log and a status page repeat it.

A server that refuses an event may show it, and what somebody said with it; one that refuses a key may show
the key.
"""

import re

MAX_CHARS = 500
"""A complaint may hold a whole event."""

MAX_QUOTED_CHARS = 60
"""Names of settings and models are shorter."""

_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"(?:[^"\\]|\\.)*"|`[^`]*`|“[^”]*”|«[^»]*»""")
_KEY = re.compile(r"\b(?:sk-|AQVN|AIza|eyJ|t1\.|y[0-3]_)[\w.=-]{8,}|(?<=://)[^/\s@]+@")
"""As providers make them; and who is let in by an address."""


def discreet(said: str) -> str:
    """``said`` with dots for each quotation that is more than one word, and for each key."""
    return _KEY.sub("…", _QUOTED.sub(_short, said[:MAX_CHARS]))


def _short(found: re.Match[str]) -> str:
    quoted = found[0]
    words = len(quoted) > MAX_QUOTED_CHARS or any(each.isspace() for each in quoted)
    return f"{quoted[0]}…{quoted[-1]}" if words else quoted
