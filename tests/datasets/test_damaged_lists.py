"""Lists of published data sets that are damaged end in one line that names the file."""

import re

import pandas as pd
import pytest

from tests.datasets.files import put
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import audioset_music, billboard, extended_ballroom, fma, magnatagatune, msd, openmic

READERS = {
    "fma": ("tracks.csv", lambda root: fma.read_tracks(root / "tracks.csv")),
    "audioset_music": ("eval_segments.csv", lambda root: audioset_music.read_segments(root / "eval_segments.csv")),
    "magnatagatune": ("annotations.csv", lambda root: magnatagatune.read_annotations(root / "annotations.csv")),
    "billboard": (billboard.INDEX, billboard.read_songs),
    "ballroom": ("a.xml", lambda root: extended_ballroom.read_songs(root / "a.xml")),
    "msd": (msd.TABLES["train"], msd.read_lists),
    "openmic labels": ("openmic-2018-aggregated-labels.csv", openmic.read_labels),
    "openmic artists": ("openmic-2018-metadata.csv", lambda root: openmic.read_artists(root, pd.Index(["a"]))),
    "openmic split": ("partitions/train01.txt", openmic.read_partitions),
}
CONTENTS = {
    "empty": b"",
    "page": b"<html>\n<body>no such, file</body>\n",
    "quote": b'a,b\n1,"2\n3,4\n',
    "utf-16": "track,a\n1,2\n".encode("utf-16"),
    "binary": bytes(range(256)) * 4,
}
#: lists without a header, in which these are words or no lines at all
READ = {
    *(("openmic split", damage) for damage in ("empty", "page", "quote")),
    ("msd", "empty"),
    ("audioset_music", "empty"),
}
CASES = [(name, damage) for name in READERS for damage in CONTENTS if (name, damage) not in READ]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_list_is_named_in_one_line(tmp_path, name, damage):
    path, read = READERS[name]
    put(tmp_path, dict.fromkeys(msd.TABLES.values(), b"") if name == "msd" else {})
    put(tmp_path, {path: CONTENTS[damage]})
    with pytest.raises(UserError, match=re.escape(path.rpartition("/")[2]) + "|get the original"):
        read(tmp_path)


def test_a_track_that_is_listed_twice_is_told(tmp_path):
    header = ",set,set,track,artist\n,split,subset,genre_top,id\ntrack_id,,,,\n"
    put(tmp_path, {"tracks.csv": header + "2,training,small,Rock,1\n2,test,small,Rock,1\n"})
    with pytest.raises(UserError, match="names a track twice"):
        fma.read_tracks(tmp_path / "tracks.csv")
