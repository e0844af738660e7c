"""Encode each clip of a corpus once: float32 embeddings (clips, size) in clip order, and their record.

An encoder that is evaluated by crops gives one embedding for each crop, (crops, size), clip after clip; the record
states the `crop_length` in samples (null for other encoders), which gives, with the clips' lengths, the crops of each
clip.

    python -m workflow_scripts.embed --config JSON --code DIGEST --corpus DIR --output FILE.npy
        [--encoder-file FILE] [--threads N]

The config states `encoder` {name, options}, `seed` and `dataset`. Without an encoder file the encoder is untrained
and drawn from the seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_sample_rate
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.core import files
from workflow_scripts.core.checksums import checksums, require_unchanged, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.progress import track
from workflow_scripts.core.provenance import Record
from workflow_scripts.evaluation.embedding import embed_clips
from workflow_scripts.pretraining.device import best_device, device_name


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    config = arguments.config.to_plain()
    record = Record(config=config, code=arguments.code)
    torch.set_num_threads(arguments.threads)
    device = best_device()
    corpus = Corpus(arguments.corpus)
    given = [arguments.encoder_file] if arguments.encoder_file else []
    require_planned_inputs(arguments.code, corpora=[corpus], results=given)
    encoder = build_encoder(config["encoder"], seed=config["seed"], encoder_file=arguments.encoder_file).to(device)
    check_sample_rate(encoder, corpus)
    embeddings = embed_clips(
        encoder,
        corpus,
        np.arange(len(corpus)),
        device=device,
        progress=lambda batches: track(batches, description="embed", total=len(batches)),
    )
    with files.write_atomically(arguments.output) as temporary:
        np.save(temporary, embeddings.cpu().numpy())
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(device),
        clips=len(corpus),
        size=encoder.pooled_size,
        crop_length=encoder.crop_length,
        encoder_file=arguments.encoder_file and require_unchanged(arguments.encoder_file),
    )
    write_record(arguments.output.with_suffix(".json"), content, files=checksums(arguments.output))


def _parser() -> argparse.ArgumentParser:
    output = "array to write (.npy); its record has the same name with .json"
    parser = job_parser("embed", __doc__, config=EmbedConfig.from_json, output=output, threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--encoder-file", type=Path, help="encoder.safetensors; without it the encoder is untrained")
    return parser


if __name__ == "__main__":
    run_command(main)
