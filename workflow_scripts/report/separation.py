"""Separation quality of pre-trained encoders: a table beside each study that uses them, and one csv of all runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import Manifest, PretrainedRun, Study
from workflow_scripts.report import labels, number_format

HEADINGS = (
    "Encoder",
    "Pre-trained by",
    "Corpus",
    "Recipe",
    "Seed",
    "Data",
    "Source",
    "Songs",
    "SI-SDR (dB)",
    "gain (dB)",
    "SDR (dB)",
    "gain (dB)",
)
DECIMALS = 1  # of dB: a test split of a few songs does not resolve smaller differences
TEXTS = 7  # columns without numbers
NOTES = (
    "Means over the songs of the corpus's test split that contain the source and another one; a gain is the "
    "improvement over the mixture as an estimate.",
    "SDR is computed over a whole song of one channel at 16 kHz. Do not compare it with museval (BSS Eval v4), which "
    "takes medians over one-second windows of stereo songs at 44.1 kHz.",
)


@dataclass(frozen=True, kw_only=True)
class PrintedSeparation:
    """Quality of one stem that a run separates; ratios in dB, `source` is the data source of the songs."""

    encoder: str
    workers: str
    corpus: str
    recipe: str
    pretrain_seed: str
    source: str
    stem: str
    songs: int
    si_sdr: float
    si_sdr_gain: float
    sdr: float
    sdr_gain: float

    @property
    def cells(self) -> tuple[str, ...]:
        """Row of the table as printed."""
        return (
            *(labels.name(level) for level in (self.encoder, self.workers, self.corpus, self.recipe)),
            labels.name(self.pretrain_seed),
            self.source,
            labels.name(self.stem),
            f"{self.songs:,}",
            number_format.number(self.si_sdr, DECIMALS),
            number_format.signed_number(self.si_sdr_gain, DECIMALS),
            number_format.number(self.sdr, DECIMALS),
            number_format.signed_number(self.sdr_gain, DECIMALS),
        )


@dataclass(frozen=True, kw_only=True)
class SeparationTable:
    """Table of a study with a row for each source of each run."""

    rows: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...] = HEADINGS
    notes: tuple[str, ...] = NOTES
    texts: int = TEXTS


def of_study(study: Study, manifest: Manifest) -> SeparationTable:
    """Return the separation quality of the runs that a study uses; runs without an evaluation have no rows.

    Raises `UserError` for a damaged file, and for a stale one unless the manifest is that of a failed workflow.
    """
    used = {tuple(cell.factors[factor] for factor in PRETRAINING) for cell in manifest.cells_of(study)}
    runs = [run for run in manifest.pretrained_runs if tuple(run.factors[factor] for factor in PRETRAINING) in used]
    return SeparationTable(rows=tuple(quality.cells for quality in _read_runs(runs, manifest)))


def tidy(manifest: Manifest) -> pd.DataFrame | None:
    """Return the separation quality of all runs of a manifest, a row for each source; None if no run separates sources.

    Raises `UserError` as `of_study` does.
    """
    if not any(run.separation_code for run in manifest.pretrained_runs):
        return None
    rows = [asdict(quality) for quality in _read_runs(manifest.pretrained_runs, manifest)]
    return pd.DataFrame(rows, columns=[column.name for column in fields(PrintedSeparation)])


def _read_runs(runs: Iterable[PretrainedRun], manifest: Manifest) -> list[PrintedSeparation]:
    return [quality for run in runs if run.separation_code for quality in _read(run, manifest)]


def _read(run: PretrainedRun, manifest: Manifest) -> list[PrintedSeparation]:
    path = run.folder / result_files.SEPARATION
    content = manifest.find_record(path)
    if content is None:
        return []
    if content["code"] == run.separation_code:
        return [
            PrintedSeparation(
                encoder=run.factors["encoder"],
                workers=run.factors["workers"],
                corpus=run.factors["corpus"],
                recipe=run.factors["recipe"],
                pretrain_seed=run.factors["pretrain_seed"],
                source=str(content["source"]),
                stem=stem,
                songs=int(numbers["songs"]),
                si_sdr=float(numbers["si_sdr"]),
                si_sdr_gain=float(numbers["si_sdr_gain"]),
                sdr=float(numbers["sdr"]),
                sdr_gain=float(numbers["sdr_gain"]),
            )
            for stem, numbers in content["sources"].items()
        ]
    if manifest.unfinished:
        return []
    raise UserError(
        f"{path}: stale, computed by other code ({content['code']}, now {run.separation_code}); "
        "run the workflow again; if the file stays stale, delete it first"
    )
