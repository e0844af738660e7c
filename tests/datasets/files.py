"""Small hand-written data sets in the official formats, for tests."""

from __future__ import annotations

from pathlib import Path


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def touch(root: Path, *names: str) -> Path:
    return put(root, dict.fromkeys(names, b""))
