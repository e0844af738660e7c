"""A module with the HEAR API (Turian et al. 2022): load_model, get_scene_embeddings and the facts of the model.

Its embedding of a clip is that of the whole window: it is no mean of its embeddings of frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders._external import ExternalOptions, hop, sample_rate  # noqa: F401 - members of the level
from workflow_scripts.levels.options import UserPath

if TYPE_CHECKING:
    from workflow_scripts.networks.hear import HearEncoder

LABEL = "HEAR module"
TRAINABLE = True
EXTERNAL = True
#: files beside a module that it may read: code, weights, and the facts of an export of Prelude's
BESIDE = ("*.py", "*.safetensors", "*.pt", "*.pth", "*.ckpt", "config.json")


class Options(ExternalOptions):
    """Options of a HEAR module; `path` is the file of its weights, empty if it has its own."""

    module: str = ""
    """The module by its dotted name, such as `hearbaseline.vqt`."""
    folder: UserPath = ""
    """The folder that holds the module; empty: it is installed."""
    files: tuple[UserPath, ...] = ()
    """Other files that it reads, besides those of its package and those in `folder`: with another content they are
    another encoder."""


def content(options: Options) -> Iterator[Path]:
    """Yield all files of the module's package, code and weights beside it in its folder, what states its version, and
    the files that the options name.

    The package is looked up, not imported. Raises `UserError` if it is not there.
    """
    if not all(part.isidentifier() for part in options.module.split(".")):
        raise UserError(
            f"encoder hear needs the option `module`, a dotted name such as hearbaseline.vqt, not {options.module!r}"
        )
    package = options.module.partition(".")[0]
    spec = PathFinder.find_spec(package, [options.folder]) if options.folder else find_spec(package)
    if spec is None:
        where = f"in {options.folder}" if options.folder else "installed: install it, or state its `folder`"
        raise UserError(f"encoder hear needs {options.module}, and no module {package} is {where}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not folders:
        yield Path(str(spec.origin))
    if options.folder:
        yield from sorted(path for pattern in BESIDE for path in Path(options.folder).glob(pattern))
    yield from _versions(package, (folders or [Path(str(spec.origin))])[0].parent)
    if options.path:
        yield Path(options.path)
    yield from map(Path, options.files)


def _versions(package: str, folder: Path) -> Iterator[Path]:
    """Yield the files in a folder of packages that state the version of this one: METADATA of its distribution."""
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        if f"\n{package}/" in "\n" + record.read_text(encoding="utf-8"):
            yield record.with_name("METADATA")


def build(options: Options) -> HearEncoder:
    """Load the module's model. Raises `UserError` if it cannot be loaded."""
    from workflow_scripts.networks.hear import HearEncoder

    return HearEncoder(
        options.module,
        folder=options.folder,
        weights=options.path,
        sample_rate=options.sample_rate,
        seconds=options.seconds,
    )
