"""Measure how well a pre-trained encoder separates the songs of a corpus with stems.

    python -m workflow_scripts.evaluate_separation --config JSON --code DIGEST --corpus DIR --encoder-file FILE
        --output FILE.json [--threads N]

Writes, for each source, the scale-invariant signal-to-distortion ratio and the SDR of BSS Eval in dB, of the estimate
and of the mixture in its place, as means over songs and for each song. Songs are evaluated at the sample rate of the
network. The published numbers of MUSDB18 come from museval, which differs: medians over windows of one second, then
over songs, of stereo at 44.1 kHz, by BSS Eval v4 with one distortion filter for the whole song.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_sample_rate
from workflow_scripts.configuration import compatibility
from workflow_scripts.configuration.jobs.evaluate_separation import EvaluateSeparationConfig
from workflow_scripts.core.checksums import write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.progress import track
from workflow_scripts.core.provenance import Record
from workflow_scripts.evaluation.separation_quality import measure_separation, summarise
from workflow_scripts.levels import registry
from workflow_scripts.pretraining.device import best_device, device_name, use_threads
from workflow_scripts.pretraining.stem_mixtures import Mixer


def main(argv: list[str] | None = None) -> None:
    """Evaluate one encoder."""
    arguments = _parser().parse_args(argv)
    config = arguments.config.to_plain()
    record = Record(config=config, code=arguments.code)
    use_threads(arguments.threads)
    device, corpus = best_device(), Corpus(arguments.corpus)
    require_planned_inputs(arguments.code, corpora=[corpus], results=[arguments.encoder_file])
    worker = registry.load("worker", config["worker"]["name"])
    if not hasattr(worker, "mix"):
        separating = [name for name in registry.names("worker") if hasattr(registry.load("worker", name), "mix")]
        raise UserError(f"worker {config['worker']['name']} separates nothing: choose {', '.join(separating)}")
    options = registry.options(worker, config["worker"]["options"])
    mix = worker.mix(options)
    Mixer(corpus, mix)  # checks the corpus's stems
    encoder = build_encoder(config["encoder"], seed=0, encoder_file=arguments.encoder_file).to(device)
    check_sample_rate(encoder, corpus)
    built = worker.build(options, embedding_size=encoder.embedding_size)
    built.check(encoder)
    rows = corpus.rows(config["split"])
    compatibility.require_test_songs(len(rows), corpus=corpus.folder, split=config["split"])
    songs = measure_separation(
        encoder,
        corpus,
        rows,
        sources=mix.sources,
        device=device,
        progress=lambda songs: track(songs, description="evaluate_separation", total=len(songs)),
    )
    content = record.content(
        data={corpus.facts.dataset: corpus.facts.digest},
        device=device_name(device),
        source=corpus.facts.source,
        songs=len(rows),
        sources=summarise(songs),
        by_song=[asdict(song) for song in songs],
    )
    write_record(arguments.output, content, files={})


def _parser() -> argparse.ArgumentParser:
    config, output = EvaluateSeparationConfig.from_json, ".json file to write"
    parser = job_parser("evaluate_separation", __doc__, config=config, output=output, threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of a corpus with stems")
    parser.add_argument("--encoder-file", required=True, type=Path, help="encoder.safetensors written by pretrain")
    return parser


if __name__ == "__main__":
    run_command(main)
