"""Train and test the trials of one cell: `trials.csv`, `predictions.npz`, `validation.csv`, `record.json`, weights.

    python -m workflow_scripts.evaluate --config JSON --code DIGEST --corpus DIR --output DIR
        [--embeddings FILE.npy | --encoder-file FILE] [--threads N]

The config states `encoder` and `head` {name, options}, `scenario`, `fraction`, the number of `trials`, `training`
(`EvaluationProtocol`) and `factors`, the value of each factor column. With `keep: first_trial` the head of the first
trial is written as `head.safetensors`, and an encoder that it trained as `encoder.safetensors`. The scenario decides
the input: embeddings where the encoder stays frozen, an encoder file where a pre-trained encoder is trained further,
neither where training starts from scratch.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.checkpoints.encoder_file import build_encoder, save_state
from workflow_scripts.configuration.jobs._base import LevelChoice
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.core import array_files, files, provenance, result_files
from workflow_scripts.core.checkpoint_files import require_planned_checkpoint
from workflow_scripts.core.checksums import (
    CHECKSUMS,
    OWN,
    checksums,
    find_record,
    read_record,
    require_unchanged,
    write_record,
)
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.provenance import Record
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult, TrialStore
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import describe_lack_of_classes
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.levels.fractions import parse_fraction
from workflow_scripts.networks.head_interfaces import Head, MapsHead
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.pretraining.device import best_device, device_name
from workflow_scripts.statistics.kept_heads import KeptHead, write_head
from workflow_scripts.statistics.metrics import confusion, metrics
from workflow_scripts.statistics.predictions import Predictions, write_predictions
from workflow_scripts.statistics.validation_curves import write_curves


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationInputs:
    """Inputs of the cells of one run and data set, each read once: the corpus and, as their scenario needs, an encoder.

    The encoder is given by embeddings (`.npy`), by an encoder file, or not at all where training starts from scratch.
    """

    folder: Path  # of the corpus
    embeddings: Path | None = None
    encoder_file: Path | None = None

    @functools.cached_property
    def corpus(self) -> Corpus:
        """The corpus."""
        return Corpus(self.folder)

    @functools.cached_property
    def upstream(self) -> dict[str, Any]:
        """Digests of the job that wrote the embeddings or the encoder file; empty without such."""
        return _read_provenance(self.embeddings or self.encoder_file)

    def require_planned(self, code: str) -> None:
        """Raise `UserError` unless these are the inputs of a cell planned as `code`."""
        source = self.embeddings or self.encoder_file
        require_planned_inputs(code, corpora=[self.corpus], results=[source] if source else [])

    @functools.cached_property
    def crops(self) -> tuple[np.ndarray | None, int | None]:
        """Embeddings (crops, size), and the length of a crop in samples: None if each clip is a single crop."""
        return _embeddings(self.embeddings, self.corpus) if self.embeddings else (None, None)


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    inputs = EvaluationInputs(
        folder=arguments.corpus, embeddings=arguments.embeddings, encoder_file=arguments.encoder_file
    )
    evaluate(arguments.config, code=arguments.code, inputs=inputs, output=arguments.output)


def evaluate(config: EvaluateConfig, *, code: str, inputs: EvaluationInputs, output: Path) -> None:
    """Train and test the trials of a cell, planned as `code`, and write its files to the folder `output`."""
    record = Record(config=config.to_plain(), code=code)
    missing = sorted(set(FACTORS) - set(config.factors))
    if missing:
        raise UserError(f"factors: no value for {', '.join(missing)}")
    corpus = inputs.corpus
    scenario = registry.load("scenario", config.scenario)
    _require_source(scenario, config, inputs)
    inputs.require_planned(code)
    _require_planned_head_file(config)
    weights = _head_weights(config.head)
    digest = provenance.digest([record.config, code, corpus.facts.digest, inputs.upstream, weights])
    task = _build_task(config, inputs, output=output, digest=digest)
    results = scenario.run(task)
    _require_planned_head_file(config)  # trials read it
    predictions = _predictions(task, results)
    write_predictions(output / result_files.PREDICTIONS, predictions, windows=results[0].windows)
    write_curves(output / result_files.VALIDATION, [result.validation for result in results])
    table = _trials_table(task, results, config=config, record=record)
    files.write_text(output / result_files.TRIALS, table.to_csv(index=False))
    kept = _write_weights(output, task, results[0], config=config, code=code)
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(task.device),
        upstream=inputs.upstream,
        seeds=[trial_seeds.trial_seed(result.trial) for result in results],
        **weights,
    )
    names = (result_files.TRIALS, result_files.PREDICTIONS, result_files.VALIDATION, *kept)
    write_record(output / result_files.RECORD, content, files=checksums(*(output / name for name in names)))
    task.store.clear()


def is_finished(config: EvaluateConfig, *, code: str, inputs: EvaluationInputs, output: Path) -> bool:
    """Return whether the files of a cell are there and unchanged, and from the same config, code and inputs."""
    try:
        record = find_record(output / result_files.RECORD)
        if record is None:
            return False
        for name in {*record[CHECKSUMS]} - {OWN}:
            require_unchanged(output / name)
    except UserError:  # damaged: it is computed again
        return False
    corpus = inputs.corpus.facts
    expected = {
        "config": config.to_plain(),
        "code": code,
        "data": {corpus.dataset: corpus.digest},
        "upstream": inputs.upstream,
        "head_weights": None,
        **_head_weights(config.head),
    }
    return all(record.get(key) == value for key, value in expected.items())


def _require_source(scenario: ModuleType, config: EvaluateConfig, inputs: EvaluationInputs) -> None:
    """Raise `UserError` unless there is exactly the scenario's input: an encoder file, embeddings, or neither."""
    source = ("encoder_file" if scenario.PRETRAINED else None) if scenario.TRAINS_ENCODER else "embeddings"
    for name in ("encoder_file", "embeddings"):
        if (getattr(inputs, name) is not None) != (name == source):
            flag = f"--{name.replace('_', '-')}"
            mistake = f"needs {flag}" if name == source else f"does not accept {flag}: leave it out"
            raise UserError(f"scenario {config.scenario} {mistake}")
    if scenario.TRAINS_ENCODER:
        if config.encoder is None:
            raise UserError(f"encoder: missing; scenario {config.scenario} trains it")
        if not (registry.load("encoder", config.encoder.name).TRAINABLE or _reads_maps(config.head)):
            raise UserError(f"encoder {config.encoder.name} cannot be trained: use scenario frozen")


def _read_provenance(source: Path | None) -> dict[str, Any]:
    """Return the digests of the job that wrote `source`."""
    if source is None:
        return {}
    sha256, record = require_unchanged(source), read_record(result_files.record_of(source))
    return {
        "code": record["code"],
        "config_digest": record["config_digest"],
        "data": record["data"],
        "sha256": sha256,
    }


def _require_planned_head_file(config: EvaluateConfig) -> None:
    if config.head_file_digest is not None:
        options = registry.options(registry.load("head", config.head.name), config.head.options)
        require_planned_checkpoint(Path(options.checkpoint), config.head_file_digest)


def _head_weights(choice: LevelChoice) -> dict[str, str]:
    """Return the digest of the published tensors that the head starts from, if any."""
    level = registry.load("head", choice.name)
    if not hasattr(level, "weights_digest"):
        return {}
    digest = level.weights_digest(registry.options(level, choice.options))
    return {} if digest is None else {"head_weights": digest}


def _build_task(config: EvaluateConfig, inputs: EvaluationInputs, *, output: Path, digest: str) -> EvaluationTask:
    corpus = inputs.corpus
    if corpus.facts.task == "unlabelled":
        raise UserError(f"{corpus.folder} has no labels: it can be pre-trained on, not evaluated")
    if lack := describe_lack_of_classes(corpus.facts.task, corpus.facts.classes, corpus.labels):
        raise UserError(f"data set {corpus.facts.dataset}: {lack}")
    embeddings, crop_length = inputs.crops
    build_maps_head = functools.partial(_build_maps_head, config.head, outputs=len(corpus.facts.classes))
    return EvaluationTask(
        corpus=corpus,
        build_head=functools.partial(_build_head, config.head, outputs=len(corpus.facts.classes)),
        build_maps_head=build_maps_head if _reads_maps(config.head) else None,
        fraction=parse_fraction(config.fraction),
        subset=config.subset,
        trials=config.trials,
        settings=config.training,
        device=best_device() if embeddings is None else torch.device("cpu"),  # frozen jobs ask for no GPU
        store=TrialStore(output.with_name(f".{output.name}.trials"), digest=digest),
        embeddings=embeddings,
        crop_length=crop_length,
        build_encoder=functools.partial(_build_encoder, config, inputs.encoder_file),
        keeps_first=config.keep == "first_trial",
    )


def _build_encoder(config: EvaluateConfig, encoder_file: Path | None, seed: int) -> Encoder:
    assert config.encoder is not None  # `_encoder_source` checks it for scenarios that train the encoder
    return build_encoder(config.encoder.model_dump(), seed=seed, encoder_file=encoder_file)


def _reads_maps(choice: LevelChoice) -> bool:
    return registry.load("head", choice.name).READS == "maps"


def _build_maps_head(choice: LevelChoice, sources: int, decoder: Sequence[int], *, outputs: int) -> MapsHead:
    level = registry.load("head", choice.name)
    head: MapsHead = level.build(
        registry.options(level, choice.options), sources=sources, decoder=decoder, outputs=outputs
    )
    return head


def _build_head(choice: LevelChoice, inputs: int, *, outputs: int) -> Head:
    if _reads_maps(choice):
        raise UserError(
            f"head {choice.name} reads maps, not embeddings: use a scenario that trains it with the encoder"
        )
    level = registry.load("head", choice.name)
    head: Head = level.build(registry.options(level, choice.options), inputs=inputs, outputs=outputs)
    return head


def _embeddings(path: Path, corpus: Corpus) -> tuple[np.ndarray, int | None]:
    """Load the embeddings (crops, size) and the length of a crop in samples; None if each clip is a single crop."""
    embeddings = array_files.read_matrix(path, remedy="run embed again")
    crop_length = read_record(result_files.record_of(path)).get("crop_length")
    crops = int(Crops.from_lengths(corpus.lengths, crop_length).offsets[-1])
    if len(embeddings) != crops:
        what = "clips" if crop_length is None else "crops"
        raise UserError(f"{path} is stale: {len(embeddings)} embeddings for {crops} {what}; run embed again")
    return embeddings, crop_length


def _predictions(task: EvaluationTask, results: list[TrialResult]) -> Predictions:
    corpus, rows = task.corpus, task.rows("test")
    labels, label_type = corpus.labels[rows], corpus.facts.task
    return Predictions(
        task=label_type,
        clips=tuple(corpus.clips["clip"].to_numpy()[rows].astype(str)),
        classes=tuple(corpus.facts.classes),
        labels=labels,
        scores=np.stack([result.scores for result in results]),
        confusion=np.stack([confusion(label_type, labels=labels, scores=result.scores) for result in results]),
        clusters=corpus.clips["group"].to_numpy()[rows].astype(str),  # test clips of one group are not independent
    )


def _write_weights(
    folder: Path, task: EvaluationTask, result: TrialResult, *, config: EvaluateConfig, code: str
) -> list[str]:
    """Write the weights of a trial, if kept, and return the names of the files; those of an earlier job are deleted."""
    for name in (result_files.HEAD, result_files.ENCODER):
        (folder / name).unlink(missing_ok=True)
    if result.weights is None:
        return []
    facts = task.corpus.facts
    head = KeptHead(
        **config.head.model_dump(),
        dataset=facts.dataset,
        task=facts.task,
        classes=tuple(facts.classes),
        crops=config.training.crops,
        tensors=result.weights.head,
    )
    write_head(folder / result_files.HEAD, head, code=code)
    if config.encoder is None or not result.weights.encoder:
        return [result_files.HEAD]
    state = {name: torch.from_numpy(value) for name, value in result.weights.encoder.items()}
    name, level = config.encoder.name, registry.load("encoder", config.encoder.name)
    options = registry.options(level, config.encoder.options)
    save_state(folder / result_files.ENCODER, state, name=name, options=options, code=code)
    return [result_files.HEAD, result_files.ENCODER]


def _trials_table(
    task: EvaluationTask, results: list[TrialResult], *, config: EvaluateConfig, record: Record
) -> pd.DataFrame:
    """Return a row for each trial and metric, with a column for each factor."""
    facts, labels = task.corpus.facts, task.corpus.labels[task.rows("test")]
    rows = [
        {
            **{factor: config.factors[factor] for factor in FACTORS},
            "trial": result.trial,
            "seed": trial_seeds.trial_seed(result.trial),
            "metric": metric,
            "value": value,
            "train_clips": result.train_clips,
            "valid_clips": len(task.rows("valid")),
            "test_clips": len(labels),
            "quarantined": facts.quarantined,
            "source": facts.source,
            "code": record.code,
            "config": provenance.digest(record.config),
            "data_digest": facts.content,
            "device": device_name(task.device),
            "seconds": round(result.seconds, 3),
            "epochs": result.epochs,
            "learning_rate": result.learning_rate,
        }
        for result in results
        for metric, value in metrics(facts.task, labels=labels, scores=result.scores).items()
    ]
    return pd.DataFrame(rows)


def _parser() -> argparse.ArgumentParser:
    parser = job_parser("evaluate", __doc__, config=EvaluateConfig.from_json, output="folder of the cell", threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the corpus")
    parser.add_argument(
        "--embeddings", type=Path, help=".npy written by embed, for scenarios that do not train the encoder"
    )
    parser.add_argument(
        "--encoder-file", type=Path, help="encoder.safetensors, for scenarios that train a pre-trained encoder"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
