"""The command as an installed program, and what it printed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JUMEAU = str(Path(sys.executable).with_name("jumeau"))


@dataclass(frozen=True, slots=True)
class Ran:
    """Exit code and both outputs of one call."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON on stdout of a call that went well."""
        assert self.code == 0, self.err
        read: dict[str, Any] = json.loads(self.out)
        return read

    @property
    def patches(self) -> list[dict[str, Any]]:
        """The patches among the lines on stderr."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("jumeau: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class Warm:
    """A process that has imported the program already and forks a child for each call: the same, two seconds sooner."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Ran:
        """One call of the command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"argv": ["jumeau", *arguments], "env": dict(environment), "cwd": str(folder)}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ran(code, (folder / "stdout").read_text(), (folder / "stderr").read_text())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Jumeau:
    """An installation: its folder (database and key) and its settings."""

    folder: Path
    url: str
    settings: tuple[tuple[str, str], ...] = (("JUMEAU_WRITE_BACK__MODE", "annotate"),)
    warm: Warm | None = None

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that the program sees; None of the caller's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JUMEAU_")}
        own = {"JUMEAU_FHIR__BASE_URL": self.url, "JUMEAU_DATABASE_URL": f"sqlite:///{self.folder}/twin.db"}
        return {**inherited, **own, **dict(self.settings), **more}

    def __call__(self, *arguments: str, **more: str) -> Ran:
        """Run one command to its end."""
        if self.warm is not None:
            return self.warm(arguments, self.environment(**more), self.folder)
        told = subprocess.run(
            [JUMEAU, *arguments],
            env=self.environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(told.returncode, told.stdout, told.stderr)

    def once(self, at: str, *arguments: str, **more: str) -> Ran:
        """`run --once --json --at`."""
        return self("run", "--once", "--json", "--at", at, *arguments, **more)
