"""What the daemon does not load: memory and start-up time that a small machine keeps for itself."""

import subprocess
import sys

import pytest

HEAVY = (
    "numpy",
    "onnxruntime",
    "hassil",
    "matplotlib",
    "soxr",
    "aiohttp.web",
    "voice_agent.embedded",
    "jsonschema",
)


@pytest.mark.parametrize("module", ["voice_agent.agent", "voice_agent.audio.portaudio"])
def test_nothing_heavy_is_loaded_that_the_daemon_does_not_use(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
