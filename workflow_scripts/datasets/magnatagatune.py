"""MagnaTagATune: the fifty commonest of 188 tags for 25,863 clips of 29 s, cut from 5,405 songs (Law et al., 2009)."""

from __future__ import annotations

import csv
import re
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets._files import (
    MISSING,
    audio_by_key,
    clip_table,
    excluded_table,
    find_below,
    published_list,
)
from workflow_scripts.levels.dataset_index import DatasetIndex, Split
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "MagnaTagATune"
TASK = "multilabel"
#: clips of the published set and their length, for estimates
SIZE = {"clips": 25863, "seconds": 29.0}
FILE_RATE = 16000  # Hz of the published files, for the comparison with published numbers
BIBTEX = """@inproceedings{law2009evaluation,
  author = {Law, Edith and West, Kris and Mandel, Michael and Bay, Mert and Downie, J. Stephen},
  title = {Evaluation of Algorithms Using Games: The Case of Music Tagging},
  booktitle = {Proceedings of the 10th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2009}
}"""
LICENSE = "CC BY-NC-SA 3.0; audio from Magnatune, CC BY-NC-SA 1.0"
_URL = "https://mirg.city.ac.uk/datasets/magnatagatune"


def _part(number: str, *, md5: str, size: int) -> Remote:
    return Remote(
        url=f"{_URL}/mp3.zip.{number}",
        algorithm="md5",
        checksum=md5,
        bytes=size,
        one_witness=("checksum", "bytes"),
    )


REMOTES = {
    # the checksum is stated alike by keunwoochoi/kapre (2017) and by a script that asserts it
    "annotations": Remote(
        url=f"{_URL}/annotations_final.csv",
        algorithm="md5",
        checksum="f04fa01752a8cc64f6e1ca142a0fef1d",
    ),
    # the owner publishes none: of the parts kapre's, of the joined file one script's, the lengths of one project
    "audio": Remote(
        url=f"{_URL}/mp3.zip",
        algorithm="md5",
        checksum="f12add0eb4cd6c2a3ab7e4afaf7b7467",
        bytes=2_972_769_864,
        one_witness=("checksum", "bytes"),
        parts=(
            _part("001", md5="179c91c8c2a6e9b3da3d4e69d306fd3b", size=1_100_000_000),
            _part("002", md5="acf8265ff2e35c6ff22210e46457a824", size=1_100_000_000),
            _part("003", md5="582dc649cabb8cd991f09e14b99349a5", size=772_769_864),
        ),
        unpack=True,
    ),
}

ANNOTATIONS = "annotations_final.csv"
#: the commonest tags over all 25,863 rows, most frequent first. Published label arrays disagree about the order of
#: metal and female voice, so labels are only addressed by name
TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo",
    "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello",
    "no voice", "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
#: folders are named by a hash of the album: 0 to b train, c validates, d to f test (Dieleman and Schrauwen, 2014)
FOLDERS: dict[str, Split] = {**dict.fromkeys("0123456789ab", "train"), "c": "valid", **dict.fromkeys("def", "test")}
AUDIO_FOLDERS = ("mp3",)  # taken before others that hold the same clips
KNOWN_BAD = frozenset((35644, 55753, 57881))  # empty or missing in every copy; all three in training
#: file of the training clips that the filtered split leaves out for whatever reason
DATA_FILES = ("lists/magnatagatune_left_out.csv",)  # read by this module, so part of its digest
EXCLUDED_CLIPS_FILE = Path(__file__).parent / DATA_FILES[0]
#: a clip is named by its song and the part of it in seconds; the song's name alone is the same for all its clips
CLIP_NAME = re.compile(r"(?P<song>.+)-\d+-\d+\.mp3")


class Options(LevelOptions):
    """Options of the clips that are used; the folders decide the split in both cases."""

    split: Literal["folders", "filtered"] = "folders"
    """`folders`: all clips, 18,706 / 1,825 / 5,329 (Spijkervet, 2021). `filtered`: those with one of the fifty tags and
    more than 29.1 s of audio, 15,244 / 1,529 / 4,332 (Lee and Nam, 2017; Garoufis et al., 2024)."""


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the clips of `annotations_final.csv`, whose audio is anywhere below `root`.

    As in folders 0 to f of `root` itself, of `mp3`, `mp3s`, `audio` or `raw`; other formats than mp3 are read too. A
    clip's id is its clip_id with six digits; its group is the song, and the clips of a song are in their order in time.
    Artists are in several splits, as published. Raises `UserError` when the table or all audio is missing.
    """
    table = read_annotations(_find_annotations(root))
    if options.split == "filtered":
        table = _filter(table)
    files = audio_by_key(root, lambda path: path.stem, first=AUDIO_FOLDERS)  # no two clips have the same name
    table["file"] = [files.get(PurePosixPath(path).stem, "") for path in table["path"]]
    numbers = [int(number) for number in table.index]
    reasons = [_why_unusable(number, file) for number, file in zip(numbers, table["file"], strict=True)]
    kept = table[[reason is None for reason in reasons]]
    if kept.empty:
        raise UserError(
            f"{root} holds no audio of {ANNOTATIONS}: looked for 0/<song>-<seconds>.mp3, mp3/0/<song>-<seconds>.mp3 "
            "and <song>-<seconds>.wav in all folders; join and unpack mp3.zip.001, .002 and .003 there"
        )
    clips = [f"{number:06d}" for number in kept.index]
    return DatasetIndex(
        task="multilabel",
        clips=clip_table(
            clip=clips,
            path=list(kept["file"]),
            split=[FOLDERS[path[0]] for path in kept["path"]],
            group=[_song(path) for path in kept["path"]],
        ),
        labels=kept[list(TAGS)].astype("float32").set_axis(pd.Index(clips, name="clip")),
        excluded=excluded_table(
            [(f"{number:06d}", reason) for number, reason in zip(numbers, reasons, strict=True) if reason]
        ),
    )


def read_annotations(path: Path) -> pd.DataFrame:
    """Read the columns path and the fifty tags (0 or 1), indexed by clip_id, ascending.

    Raises `UserError` when a column is missing, a value is neither 0 nor 1, an id is there twice, or a path does not
    begin with one of the sixteen folders.
    """
    with published_list(path):
        table = pd.read_csv(path, sep="\t", usecols=["clip_id", "mp3_path", *TAGS])
        table = table.astype({"clip_id": int, "mp3_path": str, **dict.fromkeys(TAGS, "int8")})
    table = table.rename(columns={"mp3_path": "path"}).set_index("clip_id").sort_index()
    odd = [p for p in table["path"] if p[:1] not in FOLDERS or p[1:2] != "/" or ".." in p.split("/")]
    if odd or not table[list(TAGS)].isin((0, 1)).all(axis=None) or table.index.has_duplicates:
        fault = f"the path {odd[0]!r}" if odd else "tags that are neither 0 nor 1, or a clip_id twice"
        raise UserError(f"{path} holds {fault}: get the original {ANNOTATIONS}")
    return table


def _find_annotations(root: Path) -> Path:
    if (path := find_below(root, ANNOTATIONS)) is None:
        raise UserError(f"{root} lacks {ANNOTATIONS}: put it there, beside the folders 0 to f")
    return path


def _filter(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows with a tag, without those that the split leaves out all the same (too short or unreadable)."""
    with EXCLUDED_CLIPS_FILE.open(encoding="utf-8", newline="") as file:
        left_out = [int(row["clip_id"]) for row in csv.DictReader(file)]
    return table[(table[list(TAGS)].sum(axis=1) > 0) & ~table.index.isin(left_out)]


def _why_unusable(number: int, file: str) -> str | None:
    if number in KNOWN_BAD:
        return "known bad clip: empty or missing in every copy"
    return None if file else MISSING


def _song(path: str) -> str:
    match = CLIP_NAME.fullmatch(path)
    return match["song"] if match else path
