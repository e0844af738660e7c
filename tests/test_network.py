"""Only jobs that fetch open connections: the code of all others, with all levels, reaches no module that does."""

from __future__ import annotations

import ast
import functools
import socket
from pathlib import Path

import pytest

from tests import conftest
from tests.checkout import REPOSITORY
from workflow_scripts.configuration import jobs
from workflow_scripts.core import provenance
from workflow_scripts.core.source import PACKAGE, file_of

SCRIPTS = REPOSITORY / "workflow_scripts"
FETCHERS = {"acquire", "fetch_package", "fetch_weights"}
LEVELS = ("datasets", "encoders", "workers", "weightings", "augmentations", "heads", "scenarios")
#: modules of others that can open a connection
LIBRARIES = {
    *(
        "requests",
        "urllib3",
        "urllib.request",
        "http.client",
        "ftplib",
        "huggingface_hub",
        "aiohttp",
        "httpx",
        "httpx2",
    ),
}
#: calls by which libraries fetch what they lack, and pip's command
CALLS = {"create_model", "from_pretrained", "load_state_dict_from_url", "hf_hub_download", "get_model"}
#: the AST reads the weights that `fetch_weights` fetched, offline; others' networks are read from a local folder
HARMLESS = {"heads/ast.py", "networks/transformers.py"}


def imported_modules(tree: ast.Module) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@functools.cache
def opens_connections(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return bool(imported_modules(tree) & LIBRARIES or called & CALLS or {"pip", "download"} <= words)


def reached(stage: str) -> set[str]:
    """Modules that a stage and all levels import, directly or not."""
    pending = [f"{PACKAGE.name}.{stage}"]
    pending += [f"{PACKAGE.name}.{folder}.{file.stem}" for folder in LEVELS for file in (SCRIPTS / folder).glob("*.py")]
    modules: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in modules:
            modules.add(name)
            pending += provenance._meaning(name)[1]
    return {file_of(name).relative_to(SCRIPTS).as_posix() for name in modules}


def test_all_modules_that_open_connections_are_known():
    found = {path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.py") if opens_connections(path)}
    assert found - HARMLESS == {
        "fetch_weights.py",
        "sources/connection.py",
        "sources/download.py",
        "sources/packages.py",
        "sources/remote_headers.py",
    }


@pytest.mark.parametrize("stage", sorted({file.stem for file in Path(jobs.__path__[0]).glob("[a-z]*.py")} - FETCHERS))
def test_other_jobs_reach_none_of_them(stage):
    assert {module for module in reached(stage) if opens_connections(SCRIPTS / module)} <= HARMLESS


def test_the_tests_of_jobs_run_without_a_network():
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("192.0.2.1", 80))  # an address for examples, which nobody has
    with pytest.raises(OSError, match="no network"):
        socket.getaddrinfo("example.org", 443)
    conftest.REFUSED.clear()  # these were meant
