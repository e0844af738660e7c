"""Libraries that are loaded when they are first used, not when a module imports them.

pandas takes longer to load than most commands take until they know their arguments, and half of the commands import
modules with tables but use none. `import pandas as pd` stands at the top of a module as ever.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

_LOCK = threading.RLock()


def load_late(name: str) -> None:
    """Let every later `import` of a library return it unloaded; the first use of one of its names loads it."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name))


class _Library(types.ModuleType):
    """A library that is not loaded yet; the module becomes the library itself."""

    _loads = False

    def __getattr__(self, name: str) -> Any:
        """Load the library for a name that it does not have yet; other threads wait until it is whole."""
        with _LOCK:
            if type(self) is _Library:
                if self._loads:  # the library asks for a name of its own that it does not have
                    raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
                self._load()
        return getattr(self, name)

    def _load(self) -> None:
        self._loads = True
        try:
            self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        finally:
            del self._loads
        self.__class__ = types.ModuleType  # type: ignore[assignment]


class _Finder:
    """Finder of one library, before Python's own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Sequence[str] | None, _: object = None) -> ModuleSpec | None:
        """Return how to import the library unloaded, or a part of it that was loaded with the whole just now."""
        if name == self.name:
            spec = PathFinder.find_spec(name, path)
            if spec is not None:
                spec.loader = _LateLoader(spec.loader)  # type: ignore[assignment]
            return spec
        library = sys.modules.get(self.name)
        if not name.startswith(f"{self.name}.") or not isinstance(library, _Library) or library._loads:
            return None
        getattr(library, "__version__", None)  # a part is loaded after the whole, or with it
        part = sys.modules.get(name)
        if part is not None:  # Python would load it again, by the spec that it has
            part.__spec__ = ModuleSpec(name, _PartLoader(part))  # type: ignore[arg-type]
        return part.__spec__ if part is not None else None


class _LateLoader:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python, which asks a new module for names that it lacks."""

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self.loader  # type: ignore[union-attr]
        module.__class__ = _Library


class _PartLoader:
    """Loader of a module that is loaded already."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, _: ModuleSpec) -> types.ModuleType:
        return self.module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self.spec
