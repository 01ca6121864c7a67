"""What all tests share."""

import os

from hypothesis import settings

# The same examples every time where a red light must mean a new bug; new ones on a developer's machine.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
