"""McGill Billboard: 740 songs of the American charts, unlabelled, for pre-training (Burgoyne, Wild and Fujinaga, 2011).

Only chord annotations and an index are published; the audio is the user's.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import clip_table, excluded_table, find_below, published_list
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.listing import audio_files
from workflow_scripts.sources.remotes import Remote

LABEL = "McGill Billboard"
TASK = "unlabelled"
#: songs of the published index; charted singles last three to four minutes
SIZE = {"clips": 740, "seconds": 210.0}
BIBTEX = """@inproceedings{burgoyne2011expert,
  author = {Burgoyne, John Ashley and Wild, Jonathan and Fujinaga, Ichiro},
  title = {An Expert Ground Truth Set for Audio Chord Recognition and Music Analysis},
  booktitle = {Proceedings of the 12th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2011}
}"""
LICENSE = "index CC0; the audio is not distributed: bring your own copy"
# The index alone is of no use without the audio, which cannot be downloaded.
REMOTES: dict[str, Remote] = {}

INDEX = "billboard-2.0-index.csv"
COLUMNS = ("id", "title", "artist")
SHORTENED = re.compile(r"\b([a-z]{1,20}) (s|t|m|d|ll|re|ve)\b")  # words, and what an apostrophe joins to them
TRACK_NUMBER = re.compile(r"^\d{1,3} ")  # of a record, before the title or before artist and title


class Options(LevelOptions):
    """No options: Billboard has one form, the songs of the index that the user has (Spijkervet, 2021, had 461)."""


def index(root: Path, options: Options) -> DatasetIndex:  # noqa: ARG001 - one shape for all data sets
    """Index the audio anywhere below `root` that belongs to a song of `billboard-2.0-index.csv`, which is in `root`.

    A file belongs to a song if its name, or its folders and name, give artist and title (`Artist - Title.mp3`,
    `Artist/Title.flac`, `Artist/Record/07 Title.mp3`, `Artist/Title/audio.flac`), or the number of a chart slot
    (`0003.mp3`, `0003/audio.flac`). Each song is taken once, although many fill several slots. 5 % of the songs are
    validation. Raises `UserError` when the index is missing or no file belongs to a song.
    """
    songs = read_songs(root)
    number_of = {_squeeze(key): number for number, keys in songs.items() for key in keys}
    files: dict[str, str] = {}
    excluded = []
    for path in audio_files(root):
        names = [_squeeze(name) for name in _names(path)]
        number = next((number_of[name] for name in names if name in number_of), None)
        if number is None:
            excluded.append((path, "neither artist and title nor slot of a song of the index"))
        elif number in files:
            excluded.append((path, f"the same song as {files[number]}"))
        else:
            files[number] = path
    if not files:
        raise UserError(
            f"{root} holds no song of {INDEX}: looked for <artist> - <title>.mp3, <artist>/<title>/audio.flac and "
            "<four digits of the slot>.mp3 in all folders; for any other folder of music use the data set `folder`"
        )
    clips = sorted(files)
    missing = len(songs) - len(files)
    return DatasetIndex(
        task="unlabelled",
        clips=clip_table(
            clip=clips, path=[files[clip] for clip in clips], split=_splits.split_by_hash(clips), group=clips
        ),
        labels=pd.DataFrame(index=pd.Index(clips, name="clip")),
        excluded=excluded_table(excluded),
        notes=(f"{missing:,} of {len(songs):,} songs of the index have no audio file",) if missing else (),
    )


def read_songs(root: Path) -> dict[str, set[str]]:
    """Map the first slot of each song (four digits) to its names: its slots, and artist and title in plain letters.

    Slots that were never annotated have neither title nor artist and are left out. Raises `UserError`.
    """
    path = find_below(root, INDEX)
    if path is None:
        raise UserError(f"{root} lacks {INDEX}: get it from the McGill Billboard Project's page and put it there")
    with published_list(path):
        table = pd.read_csv(path, usecols=list(COLUMNS), dtype=str, keep_default_na=False, encoding="utf-8-sig")
        table["slot"] = [f"{int(slot):04d}" for slot in table["id"]]
    named = table[(table["title"] != "") & (table["artist"] != "")].sort_values("slot")
    songs: dict[str, set[str]] = {}
    first_slot: dict[str, str] = {}
    for slot, artist, title in zip(named["slot"], named["artist"], named["title"], strict=True):
        name = _plain(f"{artist} {title}")
        songs.setdefault(first_slot.setdefault(name, slot), {name}).add(slot)
    return songs


def _names(path: str) -> list[str]:
    """Return the possible names of a file's song, the most specific first."""
    parts = [*PurePosixPath(path).parts[:-1], PurePosixPath(path).stem]
    # name; folder and name; two folders; folder
    spans = (parts[-1:], parts[-2:], parts[-3:-1], parts[-2:-1])
    names = [_plain(" ".join(span)) for span in spans]
    title = TRACK_NUMBER.sub("", names[0])
    # the artist is in the name, or the folder of the artist, or that of the record in it
    numbered = [title, *(f"{_plain(folder)} {title}" for folder in reversed(parts[-3:-1]))]
    return names + [name for name in numbered if name not in names]


def _squeeze(name: str) -> str:
    """Return a name without blanks, since file names have them in other places: Rock'n'Roll, Rock n Roll."""
    return name.replace(" ", "")


def _plain(text: str) -> str:
    """Reduce text to lower-case letters and digits without accents, with single spaces: what file names keep.

    What follows an apostrophe belongs to the word before, also where a blank stands for it: the index has both Don't
    and Don t.
    """
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return SHORTENED.sub(r"\1\2", " ".join(re.findall(r"[a-z0-9]+", letters.replace("'", ""))))
