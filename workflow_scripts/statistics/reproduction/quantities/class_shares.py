"""How common classes are (Spijkervet 2021, Figs. 4.1 and 4.2)."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
from pydantic import Field

from workflow_scripts.audio.corpus import label_column
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.reproduction.context import (
    PERCENT,
    Estimate,
    NoValue,
    Results,
    Selection,
    corpus_name,
    exact_estimate,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity


class ShareOptions(StrictModel):
    """Options of `class_share_lead`."""

    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """classes whose rarest is compared"""
    others: tuple[str, ...] = ()
    """classes whose commonest it is compared with; all others if empty"""


def class_share_lead(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the percent of all clips with the rarest of some classes minus that with the commonest of others."""
    name = corpus_name(selection)
    folder = results.folders.get(name)
    if folder is None:
        return NoValue(reason=f"{name} not prepared")
    options: ShareOptions = selection.options
    known = results.corpora[name]["classes"]
    others = options.others or tuple(label for label in known if label not in options.classes)
    absent = {*options.classes, *others} - {*known}
    if absent or not others:
        return NoValue(reason=f"no class {', '.join(sorted(absent))}" if absent else "no other class")
    require_unchanged(folder / result_files.LABELS)
    labels = pd.read_parquet(folder / result_files.LABELS)
    shares = {label: PERCENT * (labels[label_column(label)] == 1).mean() for label in (*options.classes, *others)}
    lead = min(shares[label] for label in options.classes) - max(shares[label] for label in others)
    return exact_estimate([lead], replicate="data sets", sources=(results.corpora[name]["source"],))


QUANTITIES = {
    "class_share_lead": Quantity(
        kind="counted",
        compute=class_share_lead,
        phrase="clips of {data}: percent with the rarest of {classes} minus percent with the commonest of the others "
        "({others})",
        of_corpus=True,
        options=ShareOptions,
    ),
}
