"""Facts of a model for MTEB's `model_meta.json`, from the records of its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflow_scripts.core.checksums import CHECKSUMS
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.result_files import ENCODER
from workflow_scripts.levels.factors import NONE, PRETRAINING
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.report.encoder_sizes import IMPORTED, read_parameters
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.summary import ModelMeta

ORGANISATION = "prelude"  # before the name of a model, which has two parts in MTEB
FLOAT_BYTES = 4  # of a parameter: weights are stored as float32


def describe_model(
    name: str, cells: Sequence[PlannedCell], inputs: ReportInputs, *, sources: Mapping[str, str]
) -> ModelMeta:
    """Return the facts of the model behind some cells, before those of its cells that train it further do so.

    `sources` is where the audio of each prepared corpus is from.
    """
    corpus = cells[0].factors["corpus"]
    written = [*_records(cells, ("pretrain", IMPORTED), inputs)]
    weights = [record[CHECKSUMS][ENCODER] for record in written if ENCODER in record[CHECKSUMS]]
    sizes = [record["size"] for record in _records(cells, ("embed",), inputs) if "size" in record]
    parameters = read_parameters(cells[0], inputs.manifest)
    is_imported = cells[0].job(IMPORTED) is not None
    return ModelMeta(
        name=f"{ORGANISATION}/{name}",
        revision=digest(weights) if weights else None,
        n_parameters=parameters,
        memory_usage_mb=round(parameters * FLOAT_BYTES / 2**20, 3) if parameters else None,
        embed_dim=sizes[0] if sizes else None,
        training_datasets=_training_data(corpus, inputs, is_imported=is_imported),
        adapted_from=corpus if is_imported else None,
        experiment_kwargs={
            "levels": {factor: cells[0].factors[factor] for factor in PRETRAINING if factor != "pretrain_seed"},
            "encoder_sha256": weights,  # by pre-training seed
            "training_data_source": sources.get(corpus),
            "training_data_license": inputs.manifest.datasets[corpus].license
            if corpus in inputs.manifest.datasets
            else None,
        },
    )


def _training_data(corpus: str, inputs: ReportInputs, *, is_imported: bool) -> list[str] | None:
    """Return the data sets that an encoder learned from; None where those of a checkpoint are not stated."""
    if is_imported:
        stated = inputs.manifest.training_data.get(corpus)
        return list(stated.names) if stated else None
    return [] if corpus == NONE else [corpus]


def _records(cells: Sequence[PlannedCell], stages: Sequence[str], inputs: ReportInputs) -> Iterator[dict[str, Any]]:
    """Yield the records of the jobs of some stages that have run, each once."""
    jobs = (cell.job(stage) for cell in cells for stage in stages)
    for path in dict.fromkeys(job.record for job in jobs if job):
        if record := inputs.find_record(path):
            yield record
