"""``python -m voice_agent``: the command line."""

import sys

from voice_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
