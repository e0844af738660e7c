"""Frozen encoders of a study whose embeddings a figure draws, and what is read of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import NONE, PRETRAINING
from workflow_scripts.planning.manifest import PlannedCell, Study
from workflow_scripts.report import labels, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, Method
from workflow_scripts.statistics.estimation import TEST_SET, ConfidenceInterval, Estimates
from workflow_scripts.statistics.filters.responses import Responses, read_responses
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_TITLE_POINTS, ROW_TITLE_POINTS = 8, 17  # size of a panel's title, and height of the row's above the panels
#: factors that identify the embeddings of one data set
ENCODED = tuple(factor for factor in METHOD_FACTORS if factor in PRETRAINING)


@dataclass(frozen=True, kw_only=True)
class FrozenEncoder:
    """A frozen encoder and a data set that it encodes: the first pre-training seed of a method.

    Its `name` has what it was pre-trained on, such as "SampleCNN pre-trained on MagnaTagATune".
    """

    method: Method
    cell: PlannedCell
    name: str

    @property
    def panel(self) -> str:
        """Title of its panel, with the data set that it encodes."""
        return f"{self.name}, clips of {labels.name(self.method.levels['dataset'])}"

    @property
    def fields(self) -> dict[str, object]:
        """Columns of every row about it."""
        names = ("dataset", "corpus", "encoder")
        return {"panel": self.panel, **{name: self.method.levels[name] for name in names}}

    def missing(self, reason: str = NOT_RUN) -> dict[str, object]:
        """Return the columns of the row in place of numbers that are missing, besides `fields`."""
        return {"status": MISSING, "reason": self.method.reason or reason}

    def read(self) -> Responses | None:
        """Read its filters' responses to the test clips; None if they were not computed."""
        return read_responses(self.cell)


def frozen_encoders(study: Study, evidence: Evidence, *, without: str = "") -> list[FrozenEncoder]:
    """Return each frozen encoder of a study with each data set, in planned order; untrained ones are among them.

    `without` leaves out an encoder by name. `UserError` where no encoder is frozen.
    """
    encoders: dict[tuple[str, ...], tuple[Method, PlannedCell]] = {}
    for method in evidence.methods:
        cell = next((cell for cell in method.planned_cells if cell.job("embed")), None)
        if cell is not None and method.levels["encoder"] != without:
            encoders.setdefault(tuple(method.levels[factor] for factor in ("dataset", *ENCODED)), (method, cell))
    if not encoders:
        kind = study.figure.kind if study.figure else ""
        raise UserError(f"study {study.name}: figure {kind} needs scenario frozen in the grid, or floors")
    methods = [method for method, _ in encoders.values()]
    return [FrozenEncoder(method=method, cell=cell, name=_name(method, methods)) for method, cell in encoders.values()]


def _name(method: Method, methods: Sequence[Method]) -> str:
    """Return the name of an encoder, with the factors that tell it from others of the same network and corpus."""
    levels = method.levels
    network, corpus = labels.name(levels["encoder"]), labels.name(levels["corpus"])
    alike = [other.levels for other in methods if all(other.levels[x] == levels[x] for x in ("encoder", "corpus"))]
    differing = [factor for factor in ENCODED if len({other[factor] for other in alike}) > 1]
    name = network if levels["corpus"] == NONE else f"{network} pre-trained on {corpus}"
    return ", ".join(filter(None, [name, plotting.level_names(levels, differing)]))


def clip_fields(responses: Responses) -> dict[str, object]:
    """Return the columns on the clips and the data behind a number from these responses."""
    facts = responses.facts
    return {"test_clips": len(responses.values), "source": facts.source, "data_digest": facts.content}


def interval_fields(interval: ConfidenceInterval, estimates: Estimates) -> dict[str, object]:
    """Return the columns on the interval of one of these estimates, which are over clusters of test clips."""
    return {
        "ci_low": interval.low,
        "ci_high": interval.high,
        "variance_sources": TEST_SET if interval.is_known else "",
        "clusters": estimates.clusters,
    }


def add_row_title(axes: Sequence[Axes], title: str) -> None:
    """Add a title over a row of panels, above the titles that these have; it takes no width of the first panel."""
    for panel in axes:
        panel.set_title(panel.get_title(), fontsize=PANEL_TITLE_POINTS)
    axes[0].set_title(" \n ", loc="left")  # keeps the height of a line free
    text = axes[0].annotate(
        title, (0, 1), xytext=(0, ROW_TITLE_POINTS), xycoords="axes fraction", textcoords="offset points", fontsize=9
    )
    text.set_in_layout(False)
