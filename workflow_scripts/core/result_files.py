"""Names of the files that jobs write and others read, in the folders that `planning.layout` spells out.

Names of statistics, tables and figures are in `planning.layout`, because a change of this module runs every job again.
"""

from __future__ import annotations

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
# of a pre-trained run
ENCODER: Final = "encoder.safetensors"
LOSSES: Final = "losses.csv"
LOSS_WEIGHTS: Final = "weights.json"
LOSS_WEIGHTS_RECORD: Final = "weigh.json"
SEPARATION: Final = "separation.json"
# of a cell
TRIALS: Final = "trials.csv"
PREDICTIONS: Final = "predictions.npz"


def audio_file(stem: str | None = None) -> str:
    """Return the file of a corpus that holds the audio, or one of its stems."""
    return "audio.int16" if stem is None else f"audio.{stem}.int16"
