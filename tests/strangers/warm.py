"""Forks the command for each line of its standard input: {"argv", "env", "cwd"}; answers the exit code."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from api import once
from api.cli import main

IMPORTED = once.run_once
"""What costs the two seconds."""


def call(told: dict[str, Any]) -> None:
    """In the child: become the command."""
    os.chdir(told["cwd"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = told["argv"]
    os.environ.clear()
    os.environ.update(told["env"])
    main()


def serve() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            call(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    serve()
