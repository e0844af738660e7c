"""Fake programs of a cluster with scripted answers, one per call."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

PROGRAM = """#!{python}
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


class FakePrograms:
    """Fake programs on the path; each repeats its last answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Prepend `folder` to the path."""
        folder.mkdir()
        self.folder = folder
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def answers(self, name: str, *answers: tuple[int, str, str]) -> None:
        """Set the successive answers of a program: exit code, standard output, standard error."""
        (self.folder / f"{name}.json").write_text(json.dumps(answers))
        program = self.folder / name
        program.write_text(PROGRAM.format(python=sys.executable, folder=str(self.folder)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def calls(self, name: str) -> list[list[str]]:
        """Return the arguments of each call of a program."""
        path = self.folder / "calls"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [arguments for program, *arguments in rows if program == name]
