"""What all tests share."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples every time where a red light must mean a new bug; new ones on a developer's machine.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Logging belongs to the process: a test that sets it up gives it back as it was."""
    root, package = logging.getLogger(), logging.getLogger("voice_agent")
    before = (root.handlers[:], root.level, package.level)
    yield
    root.handlers[:], root.level, package.level = before
