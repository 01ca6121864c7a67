"""The status page: one file, with nothing from elsewhere and no build step, and what a browser lets it do.

It watches ``events`` of the same server, and asks for ``status`` while none come. It can change nothing.
"""

import re
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from voice_agent.telemetry.exchange import Answer

FILE = Path(__file__).with_name("page.html")
HTML = "text/html; charset=utf-8"


def status_page() -> Answer:
    """The page, read anew."""
    body = FILE.read_bytes()
    return Answer(HTTPStatus.OK, body, HTML, {"Content-Security-Policy": _policy(body)})


def _policy(page: bytes) -> str:
    """Its own script and style run, and nothing else does, whatever a device or a server is called."""
    rules = (
        "default-src 'none'",
        f"script-src {_hashes(page, b'script')}",
        f"style-src {_hashes(page, b'style')}",
        "connect-src 'self'",
        "img-src data:",  # its icon
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # no text becomes markup
    )
    return "; ".join(rules)


def _hashes(page: bytes, element: bytes) -> str:
    """What names the contents of such elements (CSP 3, 2.3.1)."""
    found = re.findall(rb"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(each).digest()).decode()}'" for each in found)
