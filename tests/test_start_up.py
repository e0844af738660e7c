"""Libraries that each command imports before it knows its arguments: none that only other commands need."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.core.source import PACKAGE, file_of

#: libraries and parts of them that take longer than 20 ms to load; pandas loads late (`core/late_library.py`), and so
#: do the parts of scipy that are used as `scipy.special`
HEAVY = {
    *("torch", "torchaudio", "torchvision", "torchmetrics", "timm", "transformers", "sklearn", "statsmodels"),
    *("matplotlib", "librosa", "numba", "symusic", "pretty_midi", "onnx", "onnxruntime", "requests", "jinja2"),
    *("scipy.fft", "scipy.signal", "scipy.sparse", "scipy.special", "scipy.stats", "torch.utils.flop_counter"),
    *("rich.progress", "itables", "snakemake"),
}
MAIN = 'if __name__ == "__main__":'
COMMANDS = sorted(path.stem for path in PACKAGE.glob("*.py") if MAIN in path.read_text(encoding="utf-8"))
NETWORKS = (
    "check_encoder embed evaluate evaluate_embeddings evaluate_separation export extract import_checkpoint predict "
    "pretrain"
)
PAGES = "compose tabulate write_listening_page"
#: heavy library -> commands that import it at their start
ALLOWED = {
    "torch": {*NETWORKS.split(), "visualise_filters", "weigh", "write_listening_page"},
    "jinja2": set(PAGES.split()),
    "requests": {"acquire", "check_remotes", "fetch_package", "fetch_weights"},
}
#: seen in a process that has imported a command
LOADED = (
    "pandas.core",
    "matplotlib",
    "scipy.special",
    "scipy.fft",
    "scipy.signal",
    "scipy.stats",
    "sklearn",
    "statsmodels",
)
#: and that none with networks needs either: torch's compiler takes 0.9 s, which one decorator of it loads
LOADED_BESIDE_TORCH = (*LOADED, "torch._dynamo", "torchmetrics", "timm", "transformers", "sympy", "librosa.core")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_no_heavy_library_that_it_does_not_need(command: str) -> None:
    allowed = {library for library, commands in ALLOWED.items() if command in commands}
    assert imports_of(f"{PACKAGE.name}.{command}") & HEAVY == allowed


def test_commands_without_networks_load_none_of_the_large_libraries() -> None:
    require_unloaded(("torch", *LOADED), commands=[name for name in COMMANDS if name not in ALLOWED["torch"]])


def test_commands_with_networks_load_no_compiler_and_no_library_of_other_jobs() -> None:
    require_unloaded(LOADED_BESIDE_TORCH, commands=sorted(ALLOWED["torch"]))


def require_unloaded(libraries: tuple[str, ...], *, commands: list[str]) -> None:
    """Fail if a process that imports these commands has loaded one of the libraries."""
    names = ", ".join(f"{PACKAGE.name}.{command}" for command in commands)
    code = f"import sys, {names}; print([name for name in {libraries} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert process.stdout.strip() == "[]", process.stdout + process.stderr


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """Return all names that a project module imports when it is loaded, and those that its imports import."""
    names, pending = set(), [module]
    while pending:
        for name in direct_imports(pending.pop()):
            if name not in names:
                names.add(name)
                if name.partition(".")[0] == PACKAGE.name:
                    pending.append(name)
    return frozenset(names)


@functools.cache
def direct_imports(module: str) -> frozenset[str]:
    """Return the names that a project module imports when it is loaded, with the packages around them."""
    if not file_of(module).is_file():
        return frozenset()  # a name in a module
    names = set()
    for statement in executed(ast.parse(file_of(module).read_text(encoding="utf-8")).body):
        if isinstance(statement, ast.Import):
            names.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            names.update(f"{statement.module}.{alias.name}" for alias in statement.names)
    return frozenset(".".join(name.split(".")[: end + 1]) for name in names for end in range(name.count(".") + 1))


def executed(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run as a module is loaded: not those in functions, nor those for type checkers."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from executed(getattr(statement, field, []))
