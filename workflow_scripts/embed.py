"""Encode each clip of a corpus once: float32 embeddings (clips, size) in clip order, and their record.

An encoder that is evaluated by crops gives one for each crop, (crops, size), clip after clip; the record states the
`crop_length` in samples (null for the others), and with the clips' lengths this tells which crops are whose.

    python -m workflow_scripts.embed --config JSON --code DIGEST --corpus DIR --output FILE.npy
        [--checkpoint FILE] [--threads N]

The config states `encoder` {name, options}, `seed` and `dataset`. Without a checkpoint the encoder is untrained and
drawn from the seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_sample_rate
from workflow_scripts.core import files
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.progress import track
from workflow_scripts.core.provenance import Record
from workflow_scripts.evaluation.embedding import embed_clips
from workflow_scripts.pretraining.device import best_device, device_name


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _arguments(argv)
    config = json.loads(arguments.config)
    record = Record(config=config, code=arguments.code)
    torch.set_num_threads(arguments.threads)
    device = best_device()
    corpus = Corpus(arguments.corpus)
    encoder = build_encoder(config["encoder"], seed=config["seed"], checkpoint=arguments.checkpoint).to(device)
    check_sample_rate(encoder, corpus)
    embeddings = embed_clips(
        encoder,
        corpus,
        np.arange(len(corpus)),
        device=device,
        show=lambda batches: track(batches, description="embed", total=len(batches)),
    )
    with files.write_atomically(arguments.output) as temporary:
        np.save(temporary, embeddings.cpu().numpy())
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(device),
        clips=len(corpus),
        size=encoder.pooled_size,
        crop_length=encoder.crop_length,
        checkpoint=arguments.checkpoint and hashlib.sha256(arguments.checkpoint.read_bytes()).hexdigest(),
    )
    files.write_json(arguments.output.with_suffix(".json"), content)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="embed", description="Encode each clip of a corpus once.")
    parser.add_argument("--config", required=True, help="JSON: encoder, seed, dataset")
    parser.add_argument("--code", required=True, help="code digest, written into the record")
    parser.add_argument("--corpus", required=True, type=Path, help="folder written by prepare")
    parser.add_argument("--checkpoint", type=Path, help="encoder.safetensors written by pretrain; absent: untrained")
    parser.add_argument(
        "--output", required=True, type=Path, help=".npy file to write; its record gets the same name with .json"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
