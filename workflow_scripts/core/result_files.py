"""Names of the files that jobs write and others read, in the folders that `planning.layout` spells out.

Names of statistics, tables and figures are in `planning.layout`, because a change of this module runs every job again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

# of a data set
ACQUIRED: Final = "acquired.json"
# of a job, beside its other files
RECORD: Final = "record.json"
# of a prepared corpus
CORPUS_FACTS: Final = "corpus.json"
CLIPS: Final = "clips.parquet"
LABELS: Final = "labels.parquet"
QUARANTINE: Final = "quarantine.csv"
AUDIO: Final = ".int16"  # suffix
# of a pre-trained run
ENCODER: Final = "encoder.safetensors"
LOSSES: Final = "losses.csv"
LOSS_WEIGHTS: Final = "weights.json"
LOSS_WEIGHTS_RECORD: Final = "weigh.json"
SEPARATION: Final = "separation.json"
# of a cell
TRIALS: Final = "trials.csv"
PREDICTIONS: Final = "predictions.npz"
VALIDATION: Final = "validation.csv"
HEAD: Final = "head.safetensors"  # of the first trial, as `ENCODER` in the same folder
# of the visualised filters of an encoder
SPECTRA: Final = "spectra.npz"


def audio_file(stem: str | None = None) -> str:
    """Return the file of a corpus that holds the audio, or one of its stems."""
    return f"audio{AUDIO}" if stem is None else f"audio.{stem}{AUDIO}"


def record_of(path: Path) -> Path:
    """Return the record of the job that wrote a result: the JSON file with its checksum."""
    if path.suffix == ".json":
        return path.with_name(LOSS_WEIGHTS_RECORD) if path.name == LOSS_WEIGHTS else path
    if path.suffix == ".npy":
        return path.with_suffix(".json")
    of_corpus = path.name in (CLIPS, LABELS, QUARANTINE) or path.suffix == AUDIO
    return path.with_name(CORPUS_FACTS if of_corpus else RECORD)


def file_to_delete(path: Path) -> Path:
    """Return the file or folder after whose deletion the workflow makes a result again.

    It runs a job again for a missing output that another job reads, not for any output.
    """
    if (
        path.name in (ENCODER, LOSSES, TRIALS, PREDICTIONS, VALIDATION, HEAD, SPECTRA, RECORD)
        or record_of(path).name == CORPUS_FACTS
    ):
        return path.parent
    if path.name == LOSS_WEIGHTS_RECORD:
        return path.with_name(LOSS_WEIGHTS)
    array = path.with_suffix(".npy")
    return array if array.is_file() else path
