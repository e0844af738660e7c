"""Code digests, which decide what re-runs, and run records, which say where a result came from."""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from workflow_scripts.core.source import PACKAGE, file_of, syntax_of

DIGEST_LENGTH = 16  # hex digits: 64 bits, no chance collisions among thousands of jobs
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
RECORDED_LIBRARIES = (
    *("torch", "torchaudio", "numpy", "scipy", "scikit-learn", "pandas", "statsmodels"),
    *("librosa", "soundfile", "soxr", "symusic", "timm", "torchmetrics"),
)


def digest(content: object) -> str:
    """Digest of any JSON-able content; equal content in any key order gives the same digest."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def code_digest(module: str, *, chosen: Iterable[str] = ()) -> str:
    """Digest of what a job's code means: `module`, the modules of the `chosen` levels and all they import.

    Comments, docstrings and layout do not count. The project's one dynamic loader is invisible to it, hence `chosen`.
    """
    roots = [f"{PACKAGE.name}.{module}", *chosen]
    return _digest_of(frozenset(roots))


@functools.cache
def _digest_of(roots: frozenset[str]) -> str:
    pending, seen = sorted(roots), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        pending += _meaning(name)[1]
    return digest([(name, _meaning(name)[0]) for name in sorted(seen)])


@functools.cache
def _meaning(name: str) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's syntax tree without docstrings, and the project modules it imports."""
    tree = copy.deepcopy(syntax_of(name))  # the docstrings go, but only here
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module)
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, DOCUMENTED):
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]
    project = tuple(sorted(name for name in imported if name.split(".")[0] == PACKAGE.name and file_of(name).is_file()))
    meaning = hashlib.sha256(ast.dump(tree).encode())
    for path in _data_files(name, tree):
        meaning.update(path.read_bytes())
    return meaning.hexdigest(), project


def _is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is a text alone: a docstring, or the description below an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _data_files(name: str, tree: ast.Module) -> Iterator[Path]:
    """Data files that a module names in DATA_FILES, a literal tuple of paths from its folder."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "DATA_FILES" for t in node.targets):
            yield from (file_of(name).parent / file for file in ast.literal_eval(node.value))


class Record:
    """Times a job and writes its `record.json`."""

    def __init__(self, *, config: Mapping[str, object], code: str) -> None:
        """Start the clock. `config` is what the job reads, `code` its digest."""
        self.config, self.code = config, code
        self.started = time.time()
        self._clock = time.monotonic()

    def content(self, *, data: Mapping[str, str], device: str, **more: object) -> dict[str, object]:
        """Everything needed to repeat the job and to compare its cost; `data` maps each corpus used to its digest."""
        return {
            "config": self.config,
            "code": self.code,
            "config_digest": digest(self.config),
            "data": dict(data),
            "device": device,
            "seconds": round(time.monotonic() - self._clock, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            * (1 if sys.platform == "darwin" else 1024),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "versions": _versions(),
            **more,
        }


@functools.cache
def _versions() -> dict[str, str]:
    installed = {}
    for name in RECORDED_LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
