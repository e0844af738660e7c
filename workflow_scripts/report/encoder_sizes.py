"""Sizes of encoders, from the records of their pre-training."""

from __future__ import annotations

from workflow_scripts.core import result_files
from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.report.figure_inputs import Evidence, Method

IMPORTED = "import_checkpoint"


def count_parameters(method: Method, evidence: Evidence) -> int | None:
    """Return the number of trainable parameters of a method's encoder; None for floors, and where no record has it."""
    return None if method.floor else read_parameters(method.planned_cells[0], evidence.manifest)


def read_parameters(cell: PlannedCell, manifest: Manifest) -> int | None:
    """Return the number of trainable parameters of a cell's encoder from the record of its pre-training.

    For a cell trained from scratch, any run with an encoder of this name counts. None if there is no record: for
    imported checkpoints, and encoders that no run has pre-trained.
    """
    if cell.job(IMPORTED):
        return None
    own = cell.job("pretrain")
    others = [
        run.folder / result_files.RECORD
        for run in manifest.pretrained_runs
        if run.factors["encoder"] == cell.factors["encoder"]
    ]
    for path in [own.record] if own else others:
        if parameters := (manifest.find_record(path) or {}).get("parameters"):
            return int(parameters["encoder"])
    return None
