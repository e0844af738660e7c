"""The file `acquired.json`, which `acquire` writes last and `prepare` reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core import provenance
from workflow_scripts.core.checksums import read_record, write_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.sources.inventory import Inventory

LOCK = ".lock"  # beside acquired.json: held exclusively to change the data, shared to read them


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """An acquired data set: `root` has the official layout, `digest` identifies its content.

    `inventory` is that of a local copy when it was acquired, to notice that it changed.
    """

    dataset: str
    source: str  # twin, local or download
    root: Path
    digest: str
    inventory: Inventory | None = None


def write_acquisition(path: Path, acquired: Acquisition, **more: object) -> None:
    """Write `path`; a root that Prelude made is stored as a relative path, so that the folder of data can be moved."""
    folder = path.parent.absolute()
    root = acquired.root.absolute()
    is_inside = root.is_relative_to(folder) or acquired.source == "download"
    stored_root = os.path.relpath(root, folder) if is_inside else root
    content: dict[str, object] = {
        "dataset": acquired.dataset,
        "source": acquired.source,
        "root": str(stored_root),
        "digest": acquired.digest,
    }
    if acquired.inventory is not None:
        content |= {"files": acquired.inventory.files, "places": acquired.inventory.places}
    write_record(path, {**content, **more}, files={})


def read_acquisition(path: Path, *, source: str | None = None, job_digest: str | None = None) -> Acquisition:
    """Read `path`. Raises `UserError` if it is missing, damaged, or from another source, or if its data was deleted.

    `job_digest` is the digest of code and config of the job that should have acquired the data: a workflow that shares
    the folder may have written other data there.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: acquire the data set first")
    try:
        content = read_record(path)
        acquired = Acquisition(
            dataset=content["dataset"],
            source=content["source"],
            # without the "..", which would lead away from a folder that is a link
            root=Path(os.path.normpath(path.parent.absolute() / content["root"])),
            digest=content["digest"],
        )
        actual_digest = provenance.digest([content.get("code"), content.get("config")])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: delete it and acquire the data set again") from error
    if source is not None and source != acquired.source:
        raise UserError(f"{path} was acquired as {acquired.source!r}, the config states {source!r}: acquire it again")
    if job_digest is not None and job_digest != actual_digest:
        raise UserError(
            f"{path} was acquired with other settings or code, perhaps by another workflow: give this config a `data` "
            f"folder of its own, or acquire it again with --forcerun {path}"
        )
    if not acquired.root.is_dir():
        raise UserError(f"{acquired.root}, named in {path}, no longer exists: acquire the data set again")
    return acquired
