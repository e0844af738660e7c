"""Code digests, which decide what runs again, and records, which document the provenance of a result."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.source import PACKAGE, file_of

DIGEST_LENGTH = 16  # hex digits: 64 bits, no chance collisions among thousands of jobs
#: digest of a planned job: of its own code and, behind a dash, of the jobs upstream
PLANNED = re.compile(rf"(?P<own>[0-9a-f]{{{DIGEST_LENGTH}}})(-(?P<upstream>[0-9a-f]{{{DIGEST_LENGTH}}}))?")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
RECORDED_LIBRARIES = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "statsmodels",
    "librosa",
    "soundfile",
    "soxr",
    "symusic",
    "timm",
    "torchmetrics",
    "transformers",
)


def digest(content: object) -> str:
    """Return the digest of any JSON-able content; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def code_digest(module: str, *, chosen: Iterable[str] = ()) -> str:
    """Return the digest of a job's code: `module`, the modules of the `chosen` levels, and all that these import.

    Comments, docstrings and layout do not count. Dynamic imports cannot be followed: those of `levels.registry` are
    `chosen`, and a module that imports all files of folders names these in `LOADED_FOLDERS`.
    """
    roots = [f"{PACKAGE.name}.{module}", *chosen]
    return _digest_of(frozenset(roots))


def job_digest(own: str, upstream: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a job: that of its `own` code, and that of the jobs upstream (code and config of each)."""
    return f"{own}-{digest([list(job) for job in upstream])}"


def states_upstream(code: str) -> bool:
    """Return whether the digest of a job covers jobs upstream; a text of another form, given by hand, does not."""
    planned = PLANNED.fullmatch(code)
    return planned is not None and planned["upstream"] is not None


def has_upstream(code: str, records: Iterable[Mapping[str, object]]) -> bool:
    """Return whether the jobs with these records, in planned order, are those upstream of the job planned as `code`."""
    jobs = [(str(record.get("code")), json.dumps(record.get("config"), sort_keys=True)) for record in records]
    return code == job_digest(code.partition("-")[0], jobs)


def require_planned_code(code: str, module: str, *, chosen: Iterable[str] = ()) -> None:
    """Raise `UserError` if the code of a job, as `code_digest` takes it, is not the one that was planned as `code`.

    It may have been edited while the job waited. A text of another form, given by hand, is only recorded.
    """
    planned = PLANNED.fullmatch(code)
    if planned and planned["own"] != code_digest(module, chosen=chosen):
        raise UserError(
            f"the code of {module} was edited after this job was planned: nothing was computed; run the workflow again"
        )


@functools.cache
def _digest_of(roots: frozenset[str]) -> str:
    pending, modules = sorted(roots), set[str]()
    while pending:
        name = pending.pop()
        if name not in modules:
            modules.add(name)
            pending += _meaning(name)[1]
    return digest([(name, _meaning(name)[0]) for name in sorted(modules)])


@functools.cache
def _meaning(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the hash of a module's code and data files, and the project modules that it imports."""
    path = file_of(name)
    code = _code(path)
    meaning = hashlib.sha256(code.tree.encode())
    for file in code.data_files:
        meaning.update((path.parent / file).read_bytes())
    imports = [*code.imports, *_modules_of_folders(name, path, code.loaded_folders)]
    return meaning.hexdigest(), tuple(module for module in imports if file_of(module).is_file())


def _modules_of_folders(name: str, path: Path, folders: Iterable[str]) -> Iterator[str]:
    """Yield the modules of folders that a module imports by their names; a folder is named from the module's own."""
    for folder in folders:
        package = ".".join([*name.split(".")[:-1], *Path(folder).parts])
        yield from sorted(f"{package}.{file.stem}" for file in (path.parent / folder).glob("*.py"))


@dataclass(frozen=True)
class _Code:
    """A module as its digest sees it: hash of the syntax tree, names that may be project modules, and its constants.

    The constants are `DATA_FILES` and `LOADED_FOLDERS`.
    """

    tree: str
    imports: tuple[str, ...]
    data_files: tuple[str, ...]
    loaded_folders: tuple[str, ...]


def _code(path: Path) -> _Code:
    """Return the code of a module, from a cache beside its bytecode if the source is still the same.

    Parsing all modules takes most of the time of planning, and each job on a cluster plans again.
    """
    source = path.read_bytes()
    stamp = hashlib.sha256(_this_module() + source).hexdigest()
    cache = Path(importlib.util.cache_from_source(str(path))).with_suffix(".code.json")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads(cache.read_text(encoding="utf-8"))
        if entry["stamp"] == stamp:
            return _Code(entry["tree"], *(tuple(entry[name]) for name in ("imports", "data_files", "loaded_folders")))
    code = _parse(source)
    with contextlib.suppress(OSError):  # a package that cannot be written to
        _write_cache(cache, {"stamp": stamp, **asdict(code)})
    return code


@functools.cache
def _this_module() -> bytes:
    """Return the source of this module: other rules for digests make every cache stale."""
    return Path(__file__).read_bytes()


def _write_cache(path: Path, content: Mapping[str, object]) -> None:
    """Replace a cache file; processes that plan at the same time write the same content."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.partial")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def _parse(source: bytes) -> _Code:
    """Return the code of a module's source."""
    tree = ast.parse(source)
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, DOCUMENTED):
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]
    return _Code(
        tree=hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        imports=tuple(sorted(name for name in imports if name.split(".")[0] == PACKAGE.name)),
        data_files=tuple(_constant(tree, "DATA_FILES")),
        loaded_folders=tuple(_constant(tree, "LOADED_FOLDERS")),
    )


def _is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is a text alone: a docstring, or the description below an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _constant(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield the items of a constant of a module, a literal tuple of paths from its folder."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            yield from ast.literal_eval(node.value)


class Record:
    """Content of a job's `record.json`, and the job's clock."""

    def __init__(self, *, config: Mapping[str, object], code: str) -> None:
        """Start the clock. `config` is what the job reads, `code` its digest."""
        self.config, self.code = config, code
        self.started = time.time()
        self._clock = time.monotonic()

    def content(self, *, data: Mapping[str, str], device: str, **more: object) -> dict[str, object]:
        """Return what repeating the job and comparing its cost need; `data` maps each corpus to its digest."""
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
    from importlib import metadata  # noqa: PLC0415  (at the end of a job; planning needs it not)

    installed = {}
    for name in RECORDED_LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
