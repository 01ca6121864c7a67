"""A program that speaks the older MCP on its pipes, well or badly, without the SDK: it begins at once.

pipe_server.py [greeting] [silent] [rubbish] [long] [deaf] [stubborn] [vague]
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

WAYS = frozenset(sys.argv[1:])
TOOL = {"name": "who", "description": "Says who it is.", "inputSchema": {"type": "object"}}


def answer(method: str) -> dict[str, Any] | None:
    match method:
        case "initialize":
            server = {"name": "pipe", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list" if "vague" in WAYS:
            return {"tools": [TOOL, {"name": "what", "inputSchema": {}}]}
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call" if "long" in WAYS:
            return {"content": [{"type": "text", "text": "x" * 5_000_000}]}
        case "tools/call":
            return {"content": [{"type": "text", "text": json.dumps([os.getpid(), dict(os.environ)])}]}
        case "ping":
            return None if "deaf" in WAYS else {}
    return None


def main() -> None:
    if "stubborn" in WAYS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
    if "greeting" in WAYS:
        print("Welcome to the house!\n{}\n[1]", flush=True)
    while "rubbish" in WAYS:
        print("rubbish " * 100, flush=True)
    if "silent" in WAYS:
        time.sleep(600)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"])
        reply = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no"}}
        if result is not None or message["method"] != "ping":
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"]} | reply), flush=True)
    if "stubborn" in WAYS:
        time.sleep(600)


main()
