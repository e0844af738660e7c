"""GTZAN: 1,000 clips of 30 s in ten genres, of which 930 stay in the fault-filtered split (Tzanetakis and Cook, 2002).

The fault filter leaves out repetitions, distortions and wrong labels and keeps artists apart (Sturm, 2013; Kereliuk,
Sturm and Larsen, 2015).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import audio_by_key, clip_table, one_hot
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "GTZAN"
TASK = "multiclass"
#: clips of the fault-filtered set and their length, for estimates
SIZE = {"clips": 930, "seconds": 30.0}
BIBTEX = """@article{tzanetakis2002musical,
  author = {Tzanetakis, George and Cook, Perry},
  title = {Musical Genre Classification of Audio Signals},
  journal = {IEEE Transactions on Speech and Audio Processing},
  year = {2002}
}"""
LICENSE = "none stated: excerpts of commercial recordings, for research; bring your own copy"
# The owner's archive is offline; the mirrors need an account.
REMOTES: dict[str, Remote] = {}

DATA_FILES = ("lists/gtzan_fault_filtered.csv",)  # read by this module, so part of its digest
FAULT_FILTERED = Path(__file__).parent / DATA_FILES[0]
FOLDERS = ("genres", "genres_original", "Data")  # of the owner's archive and of the copy on Kaggle: taken first


class Options(LevelOptions):
    """Options of the split."""

    split: Literal["fault_filtered", "corpus"] = "fault_filtered"
    """`fault_filtered`: 443 / 197 / 290 clips. `corpus`: all 930 for pre-training, 5 % of them validation; Spijkervet
    (2021) pre-trains on all 930. An encoder that did must not be tested on the fault-filtered split."""


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the clips of the fault-filtered list, `blues.00000.wav` and so on, in any folder below `root`.

    As in `genres/blues`, `Data/genres_original/blues` or one flat folder; other formats, such as .au, are read too.
    Raises `UserError` when there is no audio. Some copies hold a jazz.00054 that cannot be decoded; `prepare`
    quarantines it.
    """
    listed = read_list()
    files = audio_by_key(root, lambda path: path.stem, first=FOLDERS)
    paths = [files.get(clip) for clip in listed["clip"]]
    kept = listed[[path is not None for path in paths]]
    if kept.empty:
        raise UserError(
            f"{root} holds no audio of GTZAN: looked for genres/blues/blues.00029.wav, "
            "Data/genres_original/blues/blues.00029.wav and blues.00029.au in all folders; the owner's archive is "
            "offline, so bring your own copy"
        )
    clips, genres, missing = list(kept["clip"]), list(kept["genre"]), len(listed) - len(kept)
    return DatasetIndex(
        task="multiclass",
        clips=clip_table(
            clip=clips,
            path=[path for path in paths if path is not None],
            split=kept["split"] if options.split == "fault_filtered" else _splits.split_by_hash(clips),
            group=clips,  # no artist metadata; the official split is artist-disjoint
        ),
        labels=one_hot(genres, classes=sorted(set(listed["genre"])), clips=clips),
        notes=(f"{missing:,} of {len(listed):,} clips of the list have no audio file",) if missing else (),
    )


def read_list() -> pd.DataFrame:
    """Read the columns clip (blues.00029), genre and split of the 930 clips, sorted by clip."""
    table = pd.read_csv(FAULT_FILTERED, dtype=str)
    table["clip"] = [Path(path).stem for path in table["path"]]
    return table.sort_values("clip").reset_index(drop=True)[["clip", "genre", "split"]]
