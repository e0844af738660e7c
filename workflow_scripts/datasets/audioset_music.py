"""AudioSet, "Music" subset: unlabelled clips for pre-training (Gemmeke et al., 2017; Wu et al., 2021, 3.5.1)."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import find_below, published_list
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.listing import audio_files
from workflow_scripts.sources.remotes import Remote

LABEL = "AudioSet Music"
TASK = "unlabelled"
#: clips of the published set and their length, for estimates
SIZE = {"clips": 980000, "seconds": 10.0}
BIBTEX = """@inproceedings{gemmeke2017audioset,
  author = {Gemmeke, Jort F. and Ellis, Daniel P. W. and Freedman, Dylan and Jansen, Aren and Lawrence, Wade
            and Moore, R. Channing and Plakal, Manoj and Ritter, Marvin},
  title = {Audio Set: An Ontology and Human-labeled Dataset for Audio Events},
  booktitle = {IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)},
  year = {2017}
}"""
LICENSE = "segments CC BY 4.0, ontology CC BY-SA 4.0; the audio is not distributed: bring your own copy"
# Segments alone are of no use without the audio, which cannot be downloaded.
REMOTES: dict[str, Remote] = {}

MUSIC = "/m/04rlf"
SEGMENTS = ("eval_segments", "balanced_train_segments", "unbalanced_train_segments")
#: the label and its descendants in the ontology
DATA_FILES = ("lists/audioset_music_subtree.csv",)  # read by this module, so part of its digest
SUBTREE = Path(__file__).parent / DATA_FILES[0]
#: <ytid>, <ytid>_<start> or <ytid>_<start>_<end>; times in seconds or milliseconds; a Y before all of it, as in the
#: copy that PANNs' authors pass on, is none of the eleven letters of the id
FILE_STEM = re.compile(r"Y?(?P<ytid>[\w-]{11})(?:_(?P<start>\d+(?:\.\d+)?))?(?:_\d+(?:\.\d+)?)?", re.ASCII)


class Options(LevelOptions):
    """Options of the clips that belong to the corpus."""

    labels: Literal["exact", "subtree"] = "exact"
    """Label Music itself (`exact`, about 980,000 clips), or any label of its subtree."""
    clips: int | None = Field(default=None, ge=1)
    """Size of a random subset of the clips that are there (Wu et al. use 100,000); null: all."""
    seed: int = 0
    """Seed of that subset."""
    segments: tuple[Annotated[str, Field(pattern=r"^[\w-]+$")], ...] = ()
    """Names of the csv files with segments; none: those that are there."""


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the labelled segments that have an audio file anywhere below `root`, which also holds the csv files.

    Files are named `<ytid>`, `Y<ytid>`, `<ytid>_<start>` or `<ytid>_<start>_<end>`. Segments without a file are no
    clips, since any copy lacks thousands. Raises `UserError` when there is no csv or no audio.
    """
    segments = _select_music(_read_segments(root, options), labels=options.labels)
    files = _files_by_name(root)
    candidates = [
        (ytid, start, files[ytid].get(key))
        for ytid, start in segments
        if ytid in files
        for key in (_milliseconds(start), None)
    ]
    rows: dict[str, tuple[str, str]] = {}
    used: set[str] = set()
    for ytid, start, path in candidates:
        clip = f"{ytid}_{_milliseconds(start)}"
        if path is not None and clip not in rows and path not in used:
            rows[clip] = (ytid, path)
            used.add(path)
    if not rows:
        raise UserError(
            f"{root} holds no audio of its {len(segments)} Music segments:"
            " looked for <YouTube id>.wav, Y<YouTube id>.wav and <YouTube id>_<start>_<end>.wav in all folders"
        )
    missing = len(segments) - len(rows)
    names = sorted(_choose_subset(list(rows), options))
    groups = [rows[clip][0] for clip in names]
    clips = pd.DataFrame({"clip": names, "path": [rows[clip][1] for clip in names], "group": groups})
    clips["split"] = _splits.split_by_hash(groups)
    clips["start_seconds"] = clips["end_seconds"] = float("nan")
    return DatasetIndex(
        task="unlabelled",
        clips=clips[list(CLIP_COLUMNS)],
        labels=pd.DataFrame(index=pd.Index(names, name="clip")),
        notes=(f"{missing:,} of {len(segments):,} Music segments have no audio file",) if missing else (),
    )


def read_segments(path: Path) -> pd.DataFrame:
    """Read the columns ytid, start (seconds) and labels (comma-separated) of a segments csv.

    Lines that start with ``#`` occur only at the top; fields are separated by a comma and a space, and the quoted last
    one holds commas.
    """
    with published_list(path), path.open(encoding="utf-8") as file:
        header = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("#"), file))
        return pd.read_csv(
            path,
            skiprows=header,
            header=None,
            names=["ytid", "start", "end", "labels"],
            usecols=["ytid", "start", "labels"],
            dtype={"ytid": str, "start": float, "labels": str},
            skipinitialspace=True,
            keep_default_na=False,
        )


def _read_segments(root: Path, options: Options) -> pd.DataFrame:
    names = list(options.segments) or list(SEGMENTS)
    paths = {name: path for name in names if (path := find_below(root, f"{name}.csv"))}
    if not paths or (options.segments and len(paths) < len(names)):
        lacking = ", ".join(f"{name}.csv" for name in names if name not in paths)
        raise UserError(
            f"{root} lacks {lacking}: put AudioSet's segment lists there, or in a folder of it such as csv or metadata"
        )
    return pd.concat([read_segments(path) for path in paths.values()], ignore_index=True)


def _select_music(segments: pd.DataFrame, *, labels: str) -> list[tuple[str, float]]:
    """Select the segments of the label or its subtree, once each, sorted."""
    mids = {MUSIC} if labels == "exact" else _read_subtree()
    pattern = f"(?:^|,)(?:{'|'.join(map(re.escape, sorted(mids)))})(?:,|$)"
    music = segments[segments["labels"].str.contains(pattern, regex=True)]
    return sorted(set(zip(music["ytid"], music["start"], strict=True)))


def _read_subtree() -> set[str]:
    with SUBTREE.open(encoding="utf-8", newline="") as file:
        return {row["mid"] for row in csv.DictReader(file)}


def _files_by_name(root: Path) -> dict[str, dict[int | None, str]]:
    """Map YouTube ids to files: start in milliseconds, None where the name has no start, to path."""
    files: dict[str, dict[int | None, str]] = {}
    for path in audio_files(root):
        match = FILE_STEM.fullmatch(path.rpartition("/")[2].rpartition(".")[0])
        if match is None:
            continue
        starts, start = files.setdefault(match["ytid"], {}), match["start"]
        if start is None:
            starts.setdefault(None, path)
        else:
            starts.setdefault(_milliseconds(float(start)), path)  # a name in seconds
            if "." not in start:
                starts.setdefault(int(start), path)  # or in milliseconds
    return files


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _choose_subset(clips: list[str], options: Options) -> list[str]:
    """Choose a random subset that depends on names and seed alone: another download adds clips without reshuffling."""
    if options.clips is None or options.clips >= len(clips):
        return clips
    return sorted(clips, key=lambda clip: (_splits.hash_position(clip, salt=str(options.seed)), clip))[: options.clips]
