"""Predict the tags or the class of new recordings by the head that a cell keeps, as csv or JSON.

    python -m workflow_scripts.predict --cell CELL FILES... [--format csv|json] [--output FILE]

CELL is the folder of a cell below results/.../evaluations/, evaluated with `keep: first_trial` in its protocol. Files
are decoded as `prepare` does it, and scored as the test clips of the cell were: crop by crop where its encoder has
crops. Longer recordings than a minute are scored in equal parts by other encoders; a file's probabilities are the mean.
A file that cannot be decoded is left out with a line on stderr; the exit code is then 2. A note names other defects.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.audio.decode import DEFECTS, REASONS
from workflow_scripts.audio.decoder_pool import DecodeTask, decode_all
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.core.checksums import CHECKSUMS, read_record, require_unchanged
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import EXIT_USER_ERROR, NOTE, UserError, format_message, run_command
from workflow_scripts.core.files import prepare_place, write_text
from workflow_scripts.core.result_files import ENCODER, HEAD, RECORD
from workflow_scripts.core.streams import encodable
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.kept_head_scores import score_clips
from workflow_scripts.evaluation.kept_maps_scores import score_recording
from workflow_scripts.evaluation.new_audio import embed_audio
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import DOWNSTREAM, PRETRAINING
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.magnitude import Magnitude
from workflow_scripts.networks.unet_encoder import UNetEncoder
from workflow_scripts.planning.layout import Layout
from workflow_scripts.planning.runs import CellKey, Run
from workflow_scripts.statistics.kept_heads import KeptHead, read_head

#: of a part that is encoded at once, by encoders without crops: PASE takes a gigabyte for it
MAX_SECONDS = 60.0
OUTPUT_SUFFIXES = ("", ".csv", ".json", ".txt")  # of earlier predictions, which new ones replace
THRESHOLD = 0.5  # probability from which a tag is predicted


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Probabilities (classes,) of a recording."""

    path: str
    scores: np.ndarray


def main(argv: list[str] | None = None) -> None:
    """Predict for all files."""
    arguments = _parser().parse_args(argv)
    if not arguments.cell.is_dir():
        raise UserError(f"{arguments.cell}: there is no such folder: name that of a cell")
    output: Path | None = arguments.output
    if output is not None and output.exists() and (output.is_dir() or output.suffix.lower() not in OUTPUT_SUFFIXES):
        raise UserError(f"--output: {output} is there and no csv or JSON, such as a recording: choose another file")
    if output is not None:
        prepare_place(output)  # before the work for it
    head = read_head(arguments.cell / HEAD)
    encoder = _load_encoder(arguments.cell)
    tasks = [DecodeTask(path=path, sample_rate=encoder.sample_rate) for path in arguments.files]
    predictions, unusable = [], 0
    for path, clip in zip(arguments.files, decode_all(tasks, processes=1), strict=True):
        if clip.samples is None:
            reason = f"{clip.reason}: {REASONS[clip.reason or '']}"
            print(format_message(f"{path} is left out ({reason})"), file=sys.stderr)
            unusable += 1
        else:
            for defect in clip.defects:
                print(format_message(f"{NOTE}{path} has a defect ({defect}: {DEFECTS[defect]})"), file=sys.stderr)
            samples = clip.samples.astype(np.float32) / FULL_SCALE
            name = encodable(path, "utf-8")  # file systems hold other bytes too
            predictions.append(Prediction(path=name, scores=_score(head, encoder, samples)))
    text = (_as_json if arguments.format == "json" else _as_csv)(head, predictions)
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
    if unusable:
        sys.exit(EXIT_USER_ERROR)


def _load_encoder(cell: Path) -> Encoder:
    """Return the encoder of a cell: the one that it keeps, or else that of its run, from which the head learned.

    Raises `UserError` if the folder is none of a cell, or if the run has been trained again since.
    """
    record = read_record(cell / RECORD)
    config, factors = record["config"], record["config"].get("factors", {})
    if config.get("encoder"):  # the scenario trains it; one that has no weights is not kept
        file = cell / ENCODER if ENCODER in record[CHECKSUMS] else None
        return build_encoder(_stated(config["encoder"]), seed=0, encoder_file=file).eval()
    run = Run(**{factor: factors[factor] for factor in PRETRAINING})
    key = CellKey(**{factor: factors[factor] for factor in DOWNSTREAM})
    # the folder of results is the one below which the layout has this cell
    folder, below = cell.resolve().as_posix(), Layout(data="", results="").evaluation(run, key)
    if not folder.endswith(below):
        raise UserError(f"{cell} is not where its cell belongs, {below}: its encoder cannot be found")
    layout = Layout(data="", results=folder.removesuffix(below))
    embedded = read_record(Path(layout.embeddings_record(run, key.dataset)))
    file = Path(layout.encoder(run)) if embedded["encoder_file"] else None
    upstream = {name: record["upstream"][name] for name in ("code", "config_digest")}
    if upstream != {name: embedded[name] for name in upstream} or (
        file and require_unchanged(file) != embedded["encoder_file"]
    ):
        raise UserError(f"the encoder of {cell} was computed again since its head learned: run the workflow again")
    job = embedded["config"]
    return build_encoder(_stated(job["encoder"]), seed=job["seed"], encoder_file=file).eval()


def _stated(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and options of a level; a record has no options where a config states none."""
    return {"options": {}, **choice}


def _score(head: KeptHead, encoder: Encoder, samples: np.ndarray) -> np.ndarray:
    """Return the probabilities (classes,) of a recording, the mean over its parts if it is long."""
    if isinstance(encoder, UNetEncoder | Magnitude) and registry.load("head", head.name).READS == "maps":
        return score_recording(head, encoder, samples)
    limit = round(MAX_SECONDS * encoder.sample_rate)
    count = 1 if encoder.crop_length else -(-len(samples) // limit)
    scores = []
    for part in np.array_split(samples, count):
        embeddings = embed_audio(encoder, part).numpy()
        scores.append(score_clips(head, embeddings, crops=Crops(np.array([0, len(embeddings)])))[0])
    return np.mean(scores, axis=0)


def _choose(head: KeptHead, scores: np.ndarray) -> list[str]:
    """Return the predicted class, or the predicted tags, the most probable first."""
    order = [int(place) for place in np.argsort(-scores, kind="stable")]
    chosen = order[:1] if head.task == "multiclass" else [place for place in order if scores[place] >= THRESHOLD]
    return [head.classes[place] for place in chosen]


def _as_csv(head: KeptHead, predictions: Sequence[Prediction]) -> str:
    """Return a row for each file: its path, what is predicted, and the probability of each class."""
    table = pd.DataFrame(
        [[item.path, "; ".join(_choose(head, item.scores)), *item.scores.tolist()] for item in predictions],
        columns=["file", "predicted", *head.classes],
    )
    return csv_text(table, float_format="%.6g")


def _as_json(head: KeptHead, predictions: Sequence[Prediction]) -> str:
    """Return a list with an object for each file."""
    content = [
        {
            "file": item.path,
            "predicted": _choose(head, item.scores),
            "probabilities": dict(zip(head.classes, item.scores.tolist(), strict=True)),
        }
        for item in predictions
    ]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("predict", __doc__)
    parser.add_argument("--cell", required=True, type=Path, help="folder of a cell that keeps its head")
    parser.add_argument("files", nargs="+", metavar="FILES", help="recordings, in any format that `prepare` reads")
    parser.add_argument("--format", choices=("csv", "json"), default="csv", help="format of the predictions (csv)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write (standard output)")
    return parser


if __name__ == "__main__":
    run_command(main)
