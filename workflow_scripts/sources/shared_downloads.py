"""Folder of a loader's downloads, which all its data sets share: each file is fetched and unpacked once.

data/downloads/<loader>/              files and contents of archives, in the official layout
data/downloads/<loader>/.archives/    archives while they are needed, notes of finished ones, locks
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workflow_scripts.configuration.download_source import DownloadSource
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.core.files import hold_lock, read_note, refuse_links, require_space, write_atomically, write_json
from workflow_scripts.core.validation import parse
from workflow_scripts.sources.download import check_file, download, print_note, remove_partials, take_copy
from workflow_scripts.sources.remotes import Remote
from workflow_scripts.sources.unpack import unpack

VARIABLE = "PRELUDE_DOWNLOADS"  # JSON: loader -> sources and planned files, as the workflow sets it
FOLDER, ARCHIVES = "downloads", ".archives"
LOCK_SECONDS = 5.0  # between two looks at a lock: downloads take minutes to hours


@dataclass(frozen=True, kw_only=True)
class DownloadSettings:
    """Sources of the files of a loader, and the names of those that some data set of the config downloads."""

    sources: tuple[DownloadSource, ...] = ()
    planned: frozenset[str] = frozenset()

    @property
    def keep_archives(self) -> bool:
        """Whether archives stay after they are unpacked."""
        return any(source.keep_archives for source in self.sources)


def read_settings(loader: str) -> DownloadSettings:
    """Return the settings that the workflow passes in the environment."""
    own = json.loads(os.environ.get(VARIABLE) or "{}").get(loader, {})
    return DownloadSettings(
        sources=tuple(parse(DownloadSource, source, where=VARIABLE) for source in own.get("sources", ())),
        planned=frozenset(own.get("planned", ())),
    )


def fetch_files(
    remotes: Mapping[str, Remote],
    root: Path,
    *,
    settings: DownloadSettings,
    clips: float | None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch into `root`, and unpack, the files that are not complete yet; `clips`: of the data set, if known.

    A file that another job fetches is waited for. Raises `UserError`, before the first byte if there is no room.
    """
    is_only = len(remotes) == 1
    needed = [
        _add_sources(_choose_archive(remote, root, settings.planned), settings.sources, is_only=is_only)
        for remote in remotes.values()
    ]
    archives, data = root / ARCHIVES, root.parent.parent
    refuse_links(archives, below=data)
    archives.mkdir(parents=True, exist_ok=True)
    missing = [remote for remote in needed if not _is_done(remote, root)]
    for remote in missing:
        _check_copies(remote, settings.sources)
        _remove_leftovers(remote, archives)
    require_space(root, _required_bytes(missing, archives, keep=settings.keep_archives))
    for remote in missing:
        for place in (_note(remote, root), root / remote.destination):
            refuse_links(place, below=data)
        with _wait_for_lock(_lock(remote, archives), name=f"{remote.name} in {root}", pause=pause):
            if not _is_done(remote, root):
                is_own = any(own.name == remote.name for own in remotes.values())  # a larger archive has more clips
                _fetch(remote, root, keep=settings.keep_archives, clips=clips if is_own else None)


def _fetch(remote: Remote, root: Path, *, keep: bool, clips: float | None) -> None:
    archives, target = root / ARCHIVES, root / remote.destination
    target.mkdir(parents=True, exist_ok=True)
    path = take_copy(remote) or download(remote, archives if remote.unpack else target)
    if remote.unpack:
        entries = unpack(path, target, scratch=_scratch(remote, archives), clips=clips)
        write_json(_note(remote, root), {"digest": remote.identity, "entries": entries})
        if path.parent == archives and not keep:
            path.unlink()
    elif path.parent != target:
        with write_atomically(target / remote.name) as temporary:
            shutil.copyfile(path, temporary)


def _choose_archive(remote: Remote, root: Path, planned: frozenset[str]) -> Remote:
    """Return the archive that a file's content comes from: a larger one that is there, or is fetched anyway."""
    larger = remote.within
    if larger is None or _is_done(remote, root):
        return remote
    return larger if _is_done(larger, root) or larger.name in planned else remote


def _add_sources(remote: Remote, sources: Sequence[DownloadSource], *, is_only: bool) -> Remote:
    """Return the file with its mirrors and the user's copy of it, or of its parts."""
    copies = [copy for source in sources if (copy := source.copy_of(remote.name, is_only=is_only))]
    return replace(
        remote,
        mirrors=tuple(url for source in sources for url in source.addresses_of(remote.name, is_only=is_only)),
        copy=str(copies[0]) if copies else "",
        parts=tuple(_add_sources(part, sources, is_only=False) for part in remote.parts),
    )


def _check_copies(remote: Remote, sources: Sequence[DownloadSource]) -> None:
    """Raise `UserError` for an `archive` that is not there; note a folder that lacks the file."""
    for path in (Path(source.archive) for source in sources if source.archive):
        if not path.exists():
            raise UserError(f"{path} is not there: correct `archive` of its data set in `sources`, or remove the key")
        if path.is_dir() and not any(file.copy for file in (remote, *remote.parts)):
            print_note(f"{path} holds no {remote.name}: it is downloaded")


def _required_bytes(remotes: Sequence[Remote], archives: Path, *, keep: bool) -> int:
    """Return the bytes that archives, without what is there, and their contents take at the same time at most.

    Contents of audio are as large as their archive.
    """
    contents = sum(remote.bytes or 0 for remote in remotes)
    sizes = [_archive_bytes(remote, archives) for remote in remotes if remote.unpack and not remote.copy]
    return contents + (sum(sizes) if keep else max(sizes, default=0))


def _archive_bytes(remote: Remote, archives: Path) -> int:
    """Return the bytes that an archive takes beyond what is there; one in parts is there twice while it is joined."""
    places = [archives / name for file in (remote, *remote.parts) for name in (file.name, f"{file.name}.part")]
    received = sum(path.stat().st_size for path in places if path.is_file())
    return max(0, (remote.bytes or 0) * (2 if remote.parts and not remote.mirrors else 1) - received)


def _remove_leftovers(remote: Remote, archives: Path) -> None:
    """Remove what killed jobs left of an archive, which takes room, unless another job is at it."""
    with contextlib.suppress(TemporaryError), hold_lock(_lock(remote, archives), name=remote.name):
        shutil.rmtree(_scratch(remote, archives), ignore_errors=True)
        remove_partials(remote.name, archives)


def _lock(remote: Remote, archives: Path) -> Path:
    return archives / f"{remote.name}.lock"


def _scratch(remote: Remote, archives: Path) -> Path:
    """Return a folder of the archive's own: others may be unpacked to the same target."""
    return archives / f"{remote.name}.unpacked"


def _note(remote: Remote, root: Path) -> Path:
    return root / ARCHIVES / f"{remote.name}.json"


def _is_done(remote: Remote, root: Path) -> bool:
    """Return whether a file is complete, or all that an archive holds is there."""
    if not remote.unpack:
        path = root / remote.destination / remote.name
        return path.is_file() and check_file(remote, path).fault is None
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        note = json.loads(read_note(_note(remote, root)) or "")
        target = root / remote.destination
        return note["digest"] == remote.identity and all((target / str(entry)).exists() for entry in note["entries"])
    return False


@contextlib.contextmanager
def _wait_for_lock(path: Path, *, name: str, pause: Callable[[float], None]) -> Iterator[None]:
    """Hold a lock, once no other process does."""
    with contextlib.ExitStack() as stack:
        is_waiting = False
        while True:
            try:
                stack.enter_context(hold_lock(path, name=name))
                break
            except TemporaryError as error:
                if not is_waiting:
                    print_note(f"another job fetches a file that this one waits for ({error})")
                is_waiting = True
                pause(LOCK_SECONDS)
        yield
