"""Description of the files that can be downloaded for a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from workflow_scripts.configuration.download_source import name_in
from workflow_scripts.core import provenance

Algorithm = Literal["md5", "sha1", "sha256"]
Fact = Literal["checksum", "bytes"]


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One downloadable file.

    `name` is the file's name on disk. `algorithm` and `checksum` (hexadecimal) are as published by the owner or stated
    by two independent public sources, both None if there are none. `bytes` is the exact length, None if unknown.
    `one_witness` names those of these facts that a single public source states: a file that differs is kept, with a
    warning. `unpack` marks an archive; `destination` is the folder, relative to the data set's root, of the file or of
    the archive's content. A file offered in pieces has `parts`, which are fetched and joined in this order; its own
    address is then not used. `begins` is the beginning of a text without checksum, such as its first column, so that a
    server's message is not taken for it. `within` is a larger archive that has the same files, and serves where it is
    there or fetched anyway. `mirrors` are further addresses, which are tried first, and `copy` is a path of the user's
    own; both come from a config.
    """

    url: str
    name: str = ""
    algorithm: Algorithm | None = None
    checksum: str | None = None
    bytes: int | None = None
    one_witness: tuple[Fact, ...] = ()
    unpack: bool = False
    destination: str = "."
    parts: tuple[Remote, ...] = ()
    begins: str = ""
    within: Remote | None = None
    mirrors: tuple[str, ...] = ()
    copy: str = ""

    def __post_init__(self) -> None:
        """Take the name from the address if none is given. Asserts what the author of a loader can get wrong."""
        if not self.name:
            object.__setattr__(self, "name", name_in(self.url))
        assert self.name not in ("", ".", ".."), f"{self.url} needs a file name"
        assert "/" not in self.name, f"{self.name}: must be a file name: put folders into destination"
        assert (self.algorithm is None) == (self.checksum is None), f"{self.name}: algorithm and checksum go together"
        folder = PurePosixPath(self.destination)
        assert not folder.is_absolute(), f"{self.name}: destination must be relative to the root"
        assert ".." not in folder.parts, f"{self.name}: destination must be below the root"

    @property
    def identity(self) -> str:
        """Digest of the checksum, or of address and length without one: a file from a mirror is the same file."""
        return provenance.digest([self.checksum or [self.url, self.bytes], self.name, self.destination])
