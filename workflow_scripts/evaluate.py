"""Train and test the trials of one cell: `trials.csv`, `predictions.npz` and `record.json`.

    python -m workflow_scripts.evaluate --config JSON --code DIGEST --corpus DIR --output DIR
        [--embeddings FILE.npy | --checkpoint FILE] [--threads N]

The config states `encoder` and `head` {name, options}, `scenario`, `fraction`, `trials` (how many), `training`
(`EvaluationProtocol`), `dataset` and `factors`, the value of each factor column. A scenario that leaves the encoder
as it is needs embeddings, one that goes on training a pre-trained one needs the checkpoint, and one that starts from
scratch neither.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core import files, provenance, result_files
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.provenance import Record
from workflow_scripts.core.validation import parse
from workflow_scripts.evaluation import label_subsets, trial_seeds
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult, TrialStore
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.networks.head_interfaces import Head, MapsHead
from workflow_scripts.pretraining.device import best_device, device_name
from workflow_scripts.statistics.metrics import confusion, metrics
from workflow_scripts.statistics.predictions import Predictions, write_predictions


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    config = arguments.config.stated()
    record = Record(config=config, code=arguments.code)
    torch.set_num_threads(arguments.threads)
    missing = sorted(set(FACTORS) - set(config["factors"]))
    if missing:
        raise UserError(f"factors: no value for {', '.join(missing)}")
    corpus = Corpus(arguments.corpus)
    scenario = registry.load("scenario", config["scenario"])
    source = _source(scenario, config, arguments)
    used = _used(source, corpus)
    weights = _head_weights(config["head"])
    digest = provenance.digest([config, arguments.code, corpus.facts.digest, used, weights])
    cell = _cell(config, arguments, corpus=corpus, source=source, digest=digest)
    results = scenario.run(cell)
    write_predictions(
        arguments.output / result_files.PREDICTIONS, _predictions(cell, results), windows=results[0].windows
    )
    table = _table(cell, results, config=config, code=arguments.code)
    files.write_text(arguments.output / result_files.TRIALS, table.to_csv(index=False))
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(cell.device),
        upstream=used,
        seeds=[trial_seeds.trial_seed(result.trial) for result in results],
        **weights,
    )
    files.write_json(arguments.output / result_files.RECORD, content)
    cell.store.clear()


def _source(scenario: ModuleType, config: Mapping[str, Any], arguments: argparse.Namespace) -> Path | None:
    """File the encoder or its embeddings come from; `UserError` unless the command line gives just what the scenario
    needs.
    """
    needed = ("checkpoint" if scenario.PRETRAINED else None) if scenario.TRAINS_ENCODER else "embeddings"
    for flag in ("checkpoint", "embeddings"):
        if (getattr(arguments, flag) is not None) != (flag == needed):
            raise UserError(f"scenario {config['scenario']} {'needs' if flag == needed else 'takes no'} --{flag}")
    if scenario.TRAINS_ENCODER and not (
        registry.load("encoder", config["encoder"]["name"]).TRAINABLE or _reads_maps(config["head"])
    ):
        raise UserError(f"encoder {config['encoder']['name']} cannot be trained: use scenario frozen")
    return getattr(arguments, needed) if needed else None


def _used(source: Path | None, corpus: Corpus) -> dict[str, Any]:
    """What the record of the embeddings or the checkpoint says; `UserError` if embeddings were made from other data."""
    if source is None:
        return {}
    embedded = source.suffix == ".npy"
    record = _read_record(source.with_suffix(".json") if embedded else source.with_name(result_files.RECORD))
    if embedded and record["data"].get(corpus.facts.dataset) != corpus.facts.digest:
        raise UserError(f"{source} is stale: it was made from other data than {corpus.folder}; run embed again")
    used = {name: record[name] for name in ("code", "config_digest", "data")}
    return used | {"sha256": hashlib.sha256(source.read_bytes()).hexdigest()}


def _head_weights(choice: Mapping[str, Any]) -> dict[str, str]:
    """Digest of the published tensors that the head starts from, where it does."""
    level = registry.load("head", choice["name"])
    if not hasattr(level, "weights_digest"):
        return {}
    digest = level.weights_digest(registry.options(level, choice["options"]))
    return {} if digest is None else {"head_weights": digest}


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged: run the job that writes it again") from error


def _cell(
    config: Mapping[str, Any], arguments: argparse.Namespace, *, corpus: Corpus, source: Path | None, digest: str
) -> EvaluationTask:
    if corpus.facts.task == "unlabelled":
        raise UserError(f"{corpus.folder} has no labels: it can be pre-trained on, not evaluated")
    embeddings, crop_length = _embeddings(arguments.embeddings, corpus) if arguments.embeddings else (None, None)
    build_maps_head = functools.partial(_build_maps_head, config["head"], outputs=len(corpus.facts.classes))
    return EvaluationTask(
        corpus=corpus,
        build_head=functools.partial(_build_head, config["head"], outputs=len(corpus.facts.classes)),
        build_maps_head=build_maps_head if _reads_maps(config["head"]) else None,
        fraction=label_subsets.parse_fraction(config["fraction"]),
        trials=config["trials"],
        settings=parse(EvaluationProtocol, config["training"], where="training"),
        device=best_device() if embeddings is None else torch.device("cpu"),  # frozen jobs ask for no GPU
        store=TrialStore(arguments.output.with_name(f".{arguments.output.name}.trials"), digest=digest),
        embeddings=embeddings,
        crop_length=crop_length,
        build_encoder=lambda seed: build_encoder(config["encoder"], seed=seed, checkpoint=source),
    )


def _reads_maps(choice: Mapping[str, Any]) -> bool:
    return registry.load("head", choice["name"]).READS == "maps"


def _build_maps_head(choice: Mapping[str, Any], sources: int, decoder: Sequence[int], *, outputs: int) -> MapsHead:
    level = registry.load("head", choice["name"])
    head: MapsHead = level.build(
        registry.options(level, choice["options"]), sources=sources, decoder=decoder, outputs=outputs
    )
    return head


def _build_head(choice: Mapping[str, Any], inputs: int, *, outputs: int) -> Head:
    if _reads_maps(choice):
        raise UserError(
            f"head {choice['name']} reads maps, not embeddings: use a scenario that trains it with the encoder"
        )
    level = registry.load("head", choice["name"])
    head: Head = level.build(registry.options(level, choice["options"]), inputs=inputs, outputs=outputs)
    return head


def _embeddings(path: Path, corpus: Corpus) -> tuple[np.ndarray, int | None]:
    """Embeddings (crops, size) and the length of a crop in samples; None where each clip is one."""
    embeddings: np.ndarray = np.load(path)
    crop_length = _read_record(path.with_suffix(".json")).get("crop_length")
    crops = int(Crops.from_lengths(corpus.lengths, crop_length).offsets[-1])
    if len(embeddings) != crops:
        what = "clips" if crop_length is None else "crops"
        raise UserError(f"{path} is stale: {len(embeddings)} embeddings for {crops} {what}; run embed again")
    return embeddings, crop_length


def _predictions(cell: EvaluationTask, results: list[TrialResult]) -> Predictions:
    corpus, rows = cell.corpus, cell.rows("test")
    labels, task = corpus.labels[rows], corpus.facts.task
    return Predictions(
        task=task,
        clips=tuple(corpus.clips["clip"].to_numpy()[rows].astype(str)),
        classes=tuple(corpus.facts.classes),
        labels=labels,
        scores=np.stack([result.scores for result in results]),
        confusion=np.stack([confusion(task, labels=labels, scores=result.scores) for result in results]),
        clusters=corpus.clips["group"].to_numpy()[rows].astype(str),  # test clips of one group are not independent
    )


def _table(cell: EvaluationTask, results: list[TrialResult], *, config: Mapping[str, Any], code: str) -> pd.DataFrame:
    """One row per trial and metric, every factor a column."""
    facts, labels = cell.corpus.facts, cell.corpus.labels[cell.rows("test")]
    rows = [
        {factor: config["factors"][factor] for factor in FACTORS}
        | {"trial": result.trial, "seed": trial_seeds.trial_seed(result.trial), "metric": metric, "value": value}
        | {"train_clips": result.train_clips, "valid_clips": len(cell.rows("valid")), "test_clips": len(labels)}
        | {"quarantined": facts.quarantined, "source": facts.source, "code": code}
        | {"config": provenance.digest(config), "data": facts.content, "device": device_name(cell.device)}
        | {"seconds": round(result.seconds, 3), "epochs": result.epochs}
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
        "--checkpoint", type=Path, help="encoder.safetensors, for scenarios that train a pre-trained encoder"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
