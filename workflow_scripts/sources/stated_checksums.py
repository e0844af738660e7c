"""Files of a user's copy compared with the checksums that their data set states for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def describe_differences(root: Path, stated: Mapping[str, str]) -> str:
    """Describe how many files below `root` differ from their MD5 in `stated`, by relative path; empty if none does.

    Files that are not there are passed over.
    """
    existing = {path: _md5_of(root / path) for path in stated if (root / path).is_file()}
    different = [path for path, md5 in existing.items() if md5 != stated[path].lower()]
    if not different:
        return ""
    path = different[0]
    return (
        f"{len(different):,} of {len(existing):,} files differ from the MD5 that the data set states, such as {path} "
        f"({existing[path]}, stated {stated[path]}): other recordings, or the same with edited tags"
    )


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
