"""Programs of a cluster that tests put in the place of the real ones: each answers from a script, one line a call."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

ANSWERING = """#!{python}
import json, sys
from pathlib import Path

folder, name = Path({folder!r}), Path(sys.argv[0]).name
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
answers = json.loads((folder / (name + ".json")).read_text())
code, out, err = answers[0]
(folder / (name + ".json")).write_text(json.dumps(answers[1:] or answers))
print(out, end="")
print(err, end="", file=sys.stderr)
sys.exit(code)
"""


class Programs:
    """Programs on the path; the last answer of each repeats."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put `folder` before the path."""
        folder.mkdir()
        self.folder = folder
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def answers(self, name: str, *answers: tuple[int, str, str]) -> None:
        """Let a program give these answers one after the other: exit code, output, errors."""
        (self.folder / f"{name}.json").write_text(json.dumps(answers))
        program = self.folder / name
        program.write_text(ANSWERING.format(python=sys.executable, folder=str(self.folder)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def calls(self, name: str) -> list[list[str]]:
        """Arguments of each call of a program."""
        path = self.folder / "calls"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [given for called, *given in rows if called == name]
