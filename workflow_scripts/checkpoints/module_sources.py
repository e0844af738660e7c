"""Source files of an encoder's network, copied out of Prelude as a package of their own."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core.files import write_text
from workflow_scripts.core.source import PACKAGE, file_of

#: modules of which a network needs no more than this
REPLACED = {
    f"{PACKAGE.name}.core.errors": '''"""Errors that users can correct."""


class UserError(Exception):
    """An error that the user can correct; its message is one line that states the error and the remedy."""
''',
}


@dataclass(frozen=True)
class ModuleSources:
    """Modules of Prelude, and the other libraries that they import."""

    modules: tuple[str, ...]
    libraries: tuple[str, ...]

    @classmethod
    def of(cls, roots: Iterable[str]) -> ModuleSources:
        """Return some modules with all that they import, directly or not."""
        # an export has an __init__ of its own
        pending, modules, libraries = [*roots], {PACKAGE.name}, set[str]()
        while pending:
            name = pending.pop()
            if name in modules or not file_of(name).is_file():
                continue
            modules.add(name)
            pending.append(name.rpartition(".")[0])
            for imported in _imports(name):
                library = imported.partition(".")[0]
                if library == PACKAGE.name:
                    pending.append(imported)
                elif library not in sys.stdlib_module_names:
                    libraries.add(library)
        return cls(tuple(sorted(modules - {PACKAGE.name})), tuple(sorted(libraries)))

    def copy(self, folder: Path) -> None:
        """Write the modules as a package into a folder, whose name is the package's."""
        for name in self.modules:
            text = REPLACED.get(name) or file_of(name).read_text(encoding="utf-8")
            target = folder / file_of(name).relative_to(PACKAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_text(target, re.sub(rf"\b{PACKAGE.name}\b", folder.name, text))


def _imports(name: str) -> Iterator[str]:
    """Yield the names of modules that a module imports, and of what it takes from them."""
    if name in REPLACED:
        return
    for node in ast.walk(ast.parse(file_of(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
