"""Index of a data set before any audio is decoded: the result of every `datasets/<name>.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

Task = Literal["multilabel", "multiclass", "unlabelled"]
Split = Literal["train", "valid", "test"]

#: columns of `DatasetIndex.clips`: clip id; file relative to the root; part of the file in seconds (NaN: from
#: its start, to its end); split; group (clips that share an artist, song or repetition: never in two splits)
CLIP_COLUMNS = ("clip", "path", "start_seconds", "end_seconds", "split", "group")
EXCLUDED_COLUMNS = ("clip", "reason")


def describe_lack_of_classes(task: Task, classes: Sequence[str], labels: np.ndarray) -> str:
    """Return why labels (clips, classes) leave nothing to tell apart; empty if two classes differ, or one divides them.

    NaN labels are unobserved.
    """
    present = (labels == 1).any(axis=0)
    if task == "multiclass" and present.sum() < 2:
        names = [name for name, is_present in zip(classes, present, strict=True) if is_present]
        return f"one class, {', '.join(names)}: nothing can be told apart; give at least two"
    if task == "multilabel" and not (present & (labels == 0).any(axis=0)).any():
        return "no class that some clips have and others lack: nothing can be told apart"
    return ""


@dataclass(frozen=True, kw_only=True)
class Stem:
    """One source of every clip's mixture: its `paths`, strings (clips,), relative to the root, in the clips' order.

    `stream` is its number among the audio streams of these files.
    """

    paths: np.ndarray
    stream: int = 0


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """Clips and labels of a data set.

    `clips` has the columns of `CLIP_COLUMNS`, one row per clip, sorted by clip id. `labels` is indexed by clip id in
    the same order, one float32 column per class: 1, 0 or NaN if unobserved (multilabel); one 1 per row
    (multiclass); no columns (unlabelled). `excluded` lists clips known to be unusable, with the reason; they appear in
    the corpus's quarantine. `stems` maps the name of each source to its files, if the data set has stems. `notes` are
    sentences on what is no clip and was passed over. `md5` maps the paths of files to the checksums that the data set
    states for them.
    """

    task: Task
    clips: pd.DataFrame
    labels: pd.DataFrame
    excluded: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(EXCLUDED_COLUMNS), dtype=object))
    stems: Mapping[str, Stem] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    md5: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the columns, their order and that clip ids are unique."""
        assert tuple(self.clips.columns) == CLIP_COLUMNS, f"clips must have the columns {CLIP_COLUMNS}"
        assert list(self.labels.index) == list(self.clips["clip"]), "labels must be in the order of the clips"
        assert self.clips["clip"].is_unique, "clip ids must be unique"
        assert self.clips["clip"].is_monotonic_increasing, "clips must be sorted by clip id"
        assert set(self.clips["split"]) <= {"train", "valid", "test"}, "split must be train, valid or test"
        assert all(len(stem.paths) == len(self.clips) for stem in self.stems.values()), "stems must have all clips"
