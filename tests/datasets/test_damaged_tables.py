"""Tables of data sets that are damaged or something else: one line that names the file, whatever it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import audioset_music, billboard, extended_ballroom, fma, magnatagatune, msd, openmic

CONTENTS = {
    "empty": b"",
    "zeros": bytes(5000),
    "web page": b'<!doctype html>\n<title>"Sign in</title>\n,,,\n',
    "message": b'{"status": 403}\n',
    "utf-16": "a,b\n1,2\n".encode("utf-16"),
    "bytes": bytes(range(256)) * 20,
    "open quote": b'"a,b\nc\td,e\n1,2,3,4,5,6\n',
    "long line": b"a," * 100_000,
    "ragged": b"a,b\n1,2,3\n1,2,3,4,5,6,7,8\n",
    "compressed": b"\x1f\x8b\x08\x00" + bytes(300),
}


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_all(root: Path, names: Iterable[str], content: bytes) -> Path:
    for name in names:
        put(root / name, content)
    return root


READERS: dict[str, Callable[[Path, bytes], object]] = {
    "fma": lambda root, content: fma.read_tracks(put(root / "tracks.csv", content)),
    "audioset": lambda root, content: audioset_music.read_segments(put(root / "segments.csv", content)),
    "magnatagatune": lambda root, content: magnatagatune.read_annotations(put(root / "annotations.csv", content)),
    "billboard": lambda root, content: billboard.index(
        put(root / billboard.INDEX, content).parent, billboard.Options()
    ),
    "ballroom": lambda root, content: extended_ballroom.read_songs(put(root / "extendedballroom_v1.1.xml", content)),
    "openmic": lambda root, content: openmic.read_labels(
        put(root / "openmic-2018-aggregated-labels.csv", content).parent
    ),
    "openmic arrays": lambda root, content: openmic.read_labels(put(root / "openmic-2018.npz", content).parent),
    "openmic artists": lambda root, content: openmic.read_artists(
        put(root / "openmic-2018-metadata.csv", content).parent, pd.Index(["a"])
    ),
    "msd": lambda root, content: msd.read_lists(put_all(root, msd.TABLES.values(), content)),
    "msd pickles": lambda root, content: msd.read_lists(
        put_all(root, (msd.TRAIN_LIST, msd.TEST_LIST, msd.VECTORS), content)
    ),
}
#: an empty table by lines has no clip
ACCEPTED = {("msd", "empty"), ("audioset", "empty")}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_table_is_one_line(tmp_path: Path, name: str, kind: str) -> None:
    if (name, kind) in ACCEPTED:
        return
    with pytest.raises(UserError) as caught:
        READERS[name](tmp_path, CONTENTS[kind])
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 900
