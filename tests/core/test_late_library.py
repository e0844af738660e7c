"""A library that loads late is loaded once, whole, by its first use."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow_scripts.core.job_server import LIBRARIES
from workflow_scripts.core.late_library import load_late

NAME = "pigments"
WHOLE = f"""
import time
from {NAME}.reds import Red
time.sleep(0.05)
NUMBER = 3
with open(LOG, "a") as log:
    log.write("whole ")
"""
PART = """
class Red: pass
with open(LOG, "a") as log:
    log.write("part ")
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write a library that notes what of it is loaded in the log; let it load late."""
    log = tmp_path / "log"
    log.touch()
    folder = tmp_path / NAME
    folder.mkdir()
    for file, source in (("__init__", WHOLE), ("reds", PART)):
        (folder / f"{file}.py").write_text(f"LOG = {str(log)!r}\n{source}")
    monkeypatch.syspath_prepend(tmp_path)
    finders, before = list(sys.meta_path), set(sys.modules)
    load_late(NAME)
    yield log
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == NAME:
            del sys.modules[name]


def test_an_import_loads_nothing_and_the_first_use_of_a_name_all(log: Path) -> None:
    library = importlib.import_module(NAME)
    assert importlib.import_module(NAME) is library
    assert not log.read_text()
    assert library.NUMBER == 3
    assert log.read_text() == "part whole "


@pytest.mark.parametrize("whole_first", [True, False])
def test_a_part_is_loaded_with_the_whole_and_not_again(log: Path, whole_first: bool) -> None:
    library = importlib.import_module(NAME) if whole_first else None
    part = importlib.import_module(f"{NAME}.reds")
    assert part.Red is (library or importlib.import_module(NAME)).Red
    assert part.__spec__.origin == str(log.parent / NAME / "reds.py")
    assert log.read_text() == "part whole "


def test_other_threads_wait_until_the_library_is_whole(log: Path) -> None:
    library, numbers = importlib.import_module(NAME), []
    threads = [threading.Thread(target=lambda: numbers.append(library.NUMBER)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [3] * 4
    assert log.read_text() == "part whole "


def test_a_name_that_the_library_lacks_is_an_attribute_error(log: Path) -> None:
    library = importlib.import_module(NAME)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = library.nonsense
    with pytest.raises(AttributeError, match="nonsense"):
        _ = library.nonsense


def test_a_library_that_fails_says_why_at_its_use(log: Path) -> None:
    (log.parent / NAME / "__init__.py").write_text("import a_module_that_is_missing")
    library = importlib.import_module(NAME)
    for _ in range(2):
        with pytest.raises(ImportError, match="a_module_that_is_missing"):
            _ = library.NUMBER


def test_a_library_that_is_missing_fails_at_import() -> None:
    finders = list(sys.meta_path)
    load_late("a_library_that_is_missing")
    try:
        with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
            importlib.import_module("a_library_that_is_missing")
    finally:
        sys.meta_path[:] = finders


def test_the_job_server_names_a_part_of_pandas_since_it_loads_late() -> None:
    assert any(name.startswith("pandas.") for name in LIBRARIES)
