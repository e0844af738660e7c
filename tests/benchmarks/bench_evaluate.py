"""Cost of ten frozen trials at four fractions: compared with one trial at one fraction, and with three learning rates
compared with one, each with one encoding.

Measures CPU seconds on one thread, so that other load does not count.

python -m tests.benchmarks.bench_evaluate [--clips N] [--seconds S] [--width W]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.corpora import write_corpus
from workflow_scripts import embed, evaluate
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.levels.factors import FACTORS

LIMIT = 2.0
TUNING_LIMIT = 1.6
RATES = (0.01, 0.001, 0.0001)
FRACTIONS = ("1pct", "10pct", "50pct", "100pct")


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--width", type=float, default=1.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task in ("multiclass", "multilabel"):
            corpus = write_corpus(folder / task, clips=arguments.clips, seconds=arguments.seconds, classes=9, task=task)
            warm_up = write_corpus(folder / f"warm_up_{task}", clips=20, seconds=1.0, classes=9, task=task)
            measure_cpu_seconds(folder, warm_up, width=arguments.width, trials=1, fractions=("100pct",))
            one = measure_cpu_seconds(folder, corpus, width=arguments.width, trials=1, fractions=("100pct",))
            many = measure_cpu_seconds(folder, corpus, width=arguments.width, trials=10, fractions=FRACTIONS)
            print(
                f"{task}: one trial, one fraction {one:.2f} s; ten trials x {len(FRACTIONS)} fractions {many:.2f} s; "
                f"ratio {many / one:.2f} (limit {LIMIT})"
            )
            tuned = measure_cpu_seconds(
                folder, corpus, width=arguments.width, trials=10, fractions=FRACTIONS, rates=RATES
            )
            print(f"{task}: {len(RATES)} learning rates {tuned:.2f} s; ratio {tuned / many:.2f} (limit {TUNING_LIMIT})")


def measure_cpu_seconds(
    folder: Path,
    corpus: Corpus,
    *,
    width: float,
    trials: int,
    fractions: tuple[str, ...],
    rates: tuple[float, ...] = (),
) -> float:
    """Measure the CPU seconds to embed the corpus once and to evaluate every fraction."""
    encoder = {"name": "pase", "options": {"embedding": 512, "width": width}}
    common = ["--code", "bench", "--corpus", str(corpus.folder), "--threads", "1"]
    embeddings = folder / f"{corpus.folder.name}.npy"
    started = time.process_time()
    embed.main(
        [
            "--config",
            json.dumps({"encoder": encoder, "seed": 0, "dataset": corpus.facts.dataset}),
            *common,
            "--output",
            str(embeddings),
        ]
    )
    for fraction in fractions:
        config = {
            "head": {"name": "linear", "options": {}},
            "scenario": "frozen",
            "fraction": fraction,
            "trials": trials,
            "training": {"learning_rates": rates},
            "factors": dict.fromkeys(FACTORS, "bench"),
        }
        flags = ["--config", json.dumps(config), *common, "--embeddings", str(embeddings)]
        evaluate.main([*flags, "--output", str(folder / f"{corpus.folder.name}_{trials}_{fraction}")])
    return time.process_time() - started


if __name__ == "__main__":
    main()
