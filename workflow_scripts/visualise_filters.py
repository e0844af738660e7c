"""Compute the spectra of the filters in an encoder's first six layers by gradient ascent: `spectra.npz` and its record.

    python -m workflow_scripts.visualise_filters --config JSON --code DIGEST --corpus DIR --output FILE.npz
        [--encoder-file FILE] [--threads N]

The config states `encoder` {name, options} and `seed`. Without an encoder file the encoder is untrained and drawn from
the seed. The corpus gives the scale of the waves.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_sample_rate
from workflow_scripts.configuration.jobs.visualise_filters import VisualiseFiltersConfig
from workflow_scripts.core.checksums import checksums, require_unchanged, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.provenance import Record
from workflow_scripts.core.result_files import record_of
from workflow_scripts.networks.filter_spectra import compute_spectra, first_stride
from workflow_scripts.pretraining.device import best_device, device_name
from workflow_scripts.statistics.filter_spectra import LAYERS, LayerSpectra, Objective, write_spectra

CLIPS = 500  # whose samples give mean and deviation of the training audio: hours of music, read in seconds


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    config: VisualiseFiltersConfig = arguments.config
    record = Record(config=config.to_plain(), code=arguments.code)
    torch.set_num_threads(arguments.threads)
    device, corpus = best_device(), Corpus(arguments.corpus)
    given = [arguments.encoder_file] if arguments.encoder_file else []
    require_planned_inputs(arguments.code, corpora=[corpus], results=given)
    encoder = build_encoder(config.encoder.model_dump(), seed=config.seed, encoder_file=arguments.encoder_file)
    check_sample_rate(encoder, corpus)
    stack = encoder.eval().requires_grad_(False).to(device).convolution_blocks
    if stack is None:
        raise UserError(f"encoder {config.encoder.name} is no stack of convolutions, such as samplecnn or cpc")
    blocks = list(stack)
    mean, std = _moments(corpus)
    spectra = {
        f"{layer} {objective}": LayerSpectra(
            power=compute_spectra(blocks, layer, objective=objective, mean=mean, std=std, device=device),
            sample_rate=encoder.sample_rate,
            stride=first_stride(blocks),
        )
        for layer in range(1, min(LAYERS, len(blocks)) + 1)
        for objective in get_args(Objective)
    }
    write_spectra(arguments.output, spectra)
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(device),
        audio_mean=mean,
        audio_std=std,
        encoder_file=arguments.encoder_file and require_unchanged(arguments.encoder_file),
    )
    write_record(record_of(arguments.output), content, files=checksums(arguments.output))


def _moments(corpus: Corpus) -> tuple[float, float]:
    """Return mean and deviation of the training audio, in [-1, 1], from clips spread over the split."""
    rows = corpus.rows("train")
    if not len(rows):
        raise UserError(f"{corpus.folder} has no clips in its train split: prepare the data set again")
    chosen = rows[np.linspace(0, len(rows) - 1, min(CLIPS, len(rows))).astype(int)]
    sums, squares, samples = 0.0, 0.0, 0
    for row in chosen:
        audio = corpus.cut(int(row)).astype(np.float64)
        sums, squares, samples = sums + audio.sum(), squares + (audio**2).sum(), samples + len(audio)
    mean = sums / samples
    std = (squares / samples - mean**2) ** 0.5
    if not std > 0:
        raise UserError(f"{corpus.folder}: its training audio is silent")
    return float(mean), float(std)


def _parser() -> argparse.ArgumentParser:
    output = "spectra to write (.npz); record.json lies beside them"
    parser = job_parser("visualise_filters", __doc__, config=VisualiseFiltersConfig.from_json, output=output, threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the corpus that the encoder learned from")
    parser.add_argument("--encoder-file", type=Path, help="encoder.safetensors; without it the encoder is untrained")
    return parser


if __name__ == "__main__":
    run_command(main)
