"""Sizes of encoders, from the records of their pre-training."""

from __future__ import annotations

from workflow_scripts.core import result_files
from workflow_scripts.report.figure_inputs import Evidence, Method

IMPORTED = "import_checkpoint"


def count_parameters(method: Method, evidence: Evidence) -> int | None:
    """Return the number of trainable parameters of a method's encoder from the record of its pre-training.

    For a method trained from scratch, any run with an encoder of this name counts. None if there is no record: for
    floors, imported checkpoints, and encoders that no run has pre-trained.
    """
    cell = method.planned_cells[0]
    if method.floor or cell.job(IMPORTED):
        return None
    own = cell.job("pretrain")
    encoder = method.levels["encoder"]
    others = [
        run.folder / result_files.RECORD
        for run in evidence.manifest.pretrained_runs
        if run.factors["encoder"] == encoder
    ]
    for path in [own.record] if own else others:
        if record := evidence.manifest.find_record(path):
            return int(record["parameters"]["encoder"])
    return None
