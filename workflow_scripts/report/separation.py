"""How well pre-trained encoders separate sources: printed beside the studies that use them, and as one csv."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import Manifest, PretrainedRun, Study
from workflow_scripts.report import labels, number_format

FILE = "separation.json"  # in the folder of a pre-trained run, where `evaluate_separation` writes it
HEADINGS = (
    *("Encoder", "Pre-trained by", "Corpus", "Recipe", "Seed", "Data", "Source", "Songs"),
    *("SI-SDR (dB)", "gain (dB)", "SDR (dB)", "gain (dB)"),
)
DECIMALS = 1  # of dB: a test split of some songs cannot tell more apart
TEXTS = 7  # columns that hold no numbers
NOTES = (
    "Means over the songs of the corpus's test split in which the source sounds, and not alone; a gain is over the "
    "mixture taken for an estimate.",
    "SDR here is over a whole song of one channel at 16 kHz. museval (BSS Eval v4) takes medians over windows of a "
    "second of stereo songs at 44.1 kHz: do not compare with its numbers.",
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One source that a run separates: the columns of the table. `data` is where the songs are from, ratios in dB."""

    encoder: str
    workers: str
    corpus: str
    recipe: str
    pretrain_seed: str
    data: str
    source: str
    songs: int
    si_sdr: float
    si_sdr_gain: float
    sdr: float
    sdr_gain: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, as printed."""
        return (
            *(labels.name(level) for level in (self.encoder, self.workers, self.corpus, self.recipe)),
            *(labels.name(self.pretrain_seed), self.data, labels.name(self.source), f"{self.songs:,}"),
            *(number_format.number(self.si_sdr, DECIMALS), number_format.signed(self.si_sdr_gain, DECIMALS)),
            *(number_format.number(self.sdr, DECIMALS), number_format.signed(self.sdr_gain, DECIMALS)),
        )


@dataclass(frozen=True, kw_only=True)
class Separation:
    """Table of a study: a row for each source of each run."""

    rows: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...] = HEADINGS
    notes: tuple[str, ...] = NOTES
    texts: int = TEXTS


def of_study(study: Study, plan: Manifest) -> Separation:
    """What the runs that a study uses were judged to separate; those that were not judged have no rows.

    Raises `UserError` for a damaged file, and for a stale one unless the plan is that of a run that failed.
    """
    used = {tuple(each.factors[factor] for factor in PRETRAINING) for each in plan.evaluations_of(study)}
    runs = [run for run in plan.pretrained if tuple(run.factors[factor] for factor in PRETRAINING) in used]
    return Separation(rows=tuple(each.cells for each in _judged(runs, plan)))


def tidy(plan: Manifest) -> pd.DataFrame | None:
    """What all runs of a plan were judged to separate, a row for each source; None where none separates anything.

    Raises `UserError` as `of_study` does.
    """
    if not any(run.separation_code for run in plan.pretrained):
        return None
    rows = [asdict(each) for each in _judged(plan.pretrained, plan)]
    return pd.DataFrame(rows, columns=[column.name for column in fields(Judged)])


def _judged(runs: Iterable[PretrainedRun], plan: Manifest) -> list[Judged]:
    return [each for run in runs if run.separation_code for each in _read(run, leave_out_stale=plan.unfinished)]


def _read(run: PretrainedRun, *, leave_out_stale: bool) -> list[Judged]:
    path = run.folder / FILE
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        code = content["code"]
        found = [
            Judged(
                encoder=run.factors["encoder"],
                workers=run.factors["workers"],
                corpus=run.factors["corpus"],
                recipe=run.factors["recipe"],
                pretrain_seed=run.factors["pretrain_seed"],
                data=str(content["source"]),
                source=source,
                songs=int(numbers["songs"]),
                si_sdr=float(numbers["si_sdr"]),
                si_sdr_gain=float(numbers["si_sdr_gain"]),
                sdr=float(numbers["sdr"]),
                sdr_gain=float(numbers["sdr_gain"]),
            )
            for source, numbers in content["sources"].items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: delete it and run the workflow again") from error
    if code == run.separation_code:
        return found
    if leave_out_stale:
        return []
    raise UserError(
        f"{path}: stale, made by other code ({code}, now {run.separation_code}); "
        "run the workflow again, or delete the file first if it is not re-made"
    )
