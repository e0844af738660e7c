"""Every package that the code imports is declared: another may bring one today, and a version that lacks a function."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import tomllib
from importlib import metadata

from tests.checkout import REPOSITORY

PACKAGE = REPOSITORY / "workflow_scripts"


def imported_packages() -> set[str]:
    names: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {PACKAGE.name}


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_imported_package_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())
    declared = {normalise(re.match(r"[\w.-]+", requirement)[0]) for requirement in stated}
    distributions = metadata.packages_distributions()
    undeclared = {
        name
        for name in imported_packages()
        if not declared & {normalise(distribution) for distribution in distributions.get(name, [name])}
    }
    assert undeclared == set()
