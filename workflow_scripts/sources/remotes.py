"""Description of the files that can be downloaded for a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

Algorithm = Literal["md5", "sha1", "sha256"]


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One downloadable file.

    `name` is the file's name on disk. `algorithm` and `checksum` (hexadecimal) are as published by the owner, both None
    if none is published. `bytes` is the exact length, None if unknown. `unpack` marks an archive; `destination` is the
    folder, relative to the data set's root, of the file or of the archive's content. A file offered in pieces has
    `parts`, which are fetched and joined in this order; its own address is then not used. `begins` is the beginning of
    a text without checksum, such as its first column, so that a server's message is not taken for it.
    """

    url: str
    name: str = ""
    algorithm: Algorithm | None = None
    checksum: str | None = None
    bytes: int | None = None
    unpack: bool = False
    destination: str = "."
    parts: tuple[Remote, ...] = ()
    begins: str = ""

    def __post_init__(self) -> None:
        """Take the name from the address if none is given. Asserts what the author of a loader can get wrong."""
        if not self.name:
            object.__setattr__(self, "name", PurePosixPath(unquote(urlsplit(self.url).path)).name)
        assert self.name not in ("", ".", ".."), f"{self.url} needs a file name"
        assert "/" not in self.name, f"{self.name}: must be a file name: put folders into destination"
        assert (self.algorithm is None) == (self.checksum is None), f"{self.name}: algorithm and checksum go together"
        folder = PurePosixPath(self.destination)
        assert not folder.is_absolute(), f"{self.name}: destination must be relative to the root"
        assert ".." not in folder.parts, f"{self.name}: destination must be below the root"
