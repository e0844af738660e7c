"""Entry of `sources`: where the archives of a data set come from, if not from their owner alone."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from workflow_scripts.configuration.field_types import HomePath
from workflow_scripts.core.validation import StrictModel


def _require_address(url: str) -> str:
    """Raise `ValueError` unless `url` is the address of a web page without a login, which messages would show."""
    allowed = "allowed: https://HOST/PATH or http://HOST/PATH, without a login"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{url!r} is no address ({error}); {allowed}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path or "@" in parts.netloc:
        raise ValueError(f"{url!r} is no such address; {allowed}")
    return url


class DownloadSource(StrictModel):
    """Further sources of the archives of a data set. What it computes does not depend on them: checksums tell."""

    urls: tuple[Annotated[str, AfterValidator(_require_address)], ...] = ()
    """addresses of mirrors, asked before the owner's; one that ends in / is a folder of files under their own names"""
    archive: HomePath | None = None
    """your copy of the archive, or a folder with the archives under their names; neither changed nor deleted"""
    keep_archives: bool = False
    """keep downloaded archives after they are unpacked"""

    def addresses_of(self, name: str, *, is_only: bool) -> tuple[str, ...]:
        """Return the addresses of the file called `name`; any may have that of the `only` file of a data set."""
        return tuple(
            f"{url}{name}" if url.endswith("/") else url
            for url in self.urls
            if url.endswith("/") or is_only or name_in(url) == name
        )

    def copy_of(self, name: str, *, is_only: bool) -> Path | None:
        """Return the user's copy of the file called `name`, None if there is none."""
        path = Path(self.archive) if self.archive else None
        if path is not None and path.is_dir():
            path = path / name
            return path if path.is_file() else None
        return path if path is not None and (is_only or path.name == name) else None

    def unused(self, names: list[str]) -> list[str]:
        """Return the addresses and paths that belong to none of the files of a data set, called `names`."""
        if len(names) == 1:
            return []
        urls = [url for url in self.urls if not url.endswith("/") and name_in(url) not in names]
        path = Path(self.archive) if self.archive else None
        is_unused = path is not None and path.is_file() and path.name not in names
        return [*urls, *([str(path)] if is_unused else [])]


def name_in(url: str) -> str:
    """Return the name of the file in an address; empty if it ends in a folder."""
    path = unquote(urlsplit(url).path)
    return "" if path.endswith("/") else PurePosixPath(path).name
