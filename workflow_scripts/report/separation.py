"""How well pre-trained encoders separate sources, as printed beside the studies that use them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from workflow_scripts.factors import PRETRAINING
from workflow_scripts.report import words
from workflow_scripts.statistics.plan import Plan, Pretrained, Study

FILE = "separation.json"  # in the folder of a pre-trained run, where `judge_separation` writes it
HEADINGS = (
    *("Encoder", "Pre-trained by", "Corpus", "Recipe", "Seed", "Data", "Source", "Songs"),
    *("SI-SDR (dB)", "gain (dB)", "SDR (dB)", "gain (dB)"),
)
DECIMALS = 1  # of dB: a test split of some songs cannot tell more apart
TEXTS = 7  # columns that hold no numbers
NOTES = (
    "Means over the songs of the corpus's test split in which the source sounds; a gain is over the mixture taken for "
    "an estimate.",
    "SDR here is over a whole song of one channel at 16 kHz. museval (BSS Eval v4) takes medians over windows of a "
    "second of stereo songs at 44.1 kHz: do not compare with its numbers.",
)


@dataclass(frozen=True, kw_only=True)
class Separation:
    """Table of a study: a row for each source of each run."""

    rows: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...] = HEADINGS
    notes: tuple[str, ...] = NOTES
    texts: int = TEXTS


def of_study(study: Study, plan: Plan) -> Separation:
    """What the runs that a study uses were judged to separate; those that were not judged have no rows."""
    used = {tuple(each.factors[factor] for factor in PRETRAINING) for each in plan.of(study)}
    runs = [run for run in plan.pretrained if tuple(run.factors[factor] for factor in PRETRAINING) in used]
    return Separation(rows=tuple(row for run in runs for row in _rows(run)))


def _rows(run: Pretrained) -> Iterable[tuple[str, ...]]:
    path = run.folder / FILE
    if not path.is_file():
        return
    judged = json.loads(path.read_text(encoding="utf-8"))
    factors = ("encoder", "workers", "corpus", "recipe", "pretrain_seed")
    for source, numbers in judged["sources"].items():
        yield (
            *(words.name(run.factors[factor]) for factor in factors),
            judged["source"],
            words.name(source),
            f"{numbers['songs']:,}",
            words.number(numbers["si_sdr"], DECIMALS),
            words.signed(numbers["si_sdr_gain"], DECIMALS),
            words.number(numbers["sdr"], DECIMALS),
            words.signed(numbers["sdr_gain"], DECIMALS),
        )
