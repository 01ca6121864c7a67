"""What all tests share."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time where a red light must mean a new bug; new ones on a developer's machine.
# How fast a machine draws them says nothing about the daemon.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", patient, derandomize=True)
settings.register_profile("here", patient)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Logging belongs to the process: a test that sets it up gives it back as it was."""
    root, package = logging.getLogger(), logging.getLogger("voice_agent")
    before = (root.handlers[:], root.level, package.level)
    yield
    root.handlers[:], root.level, package.level = before
