"""First page: what was run, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import failures
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.site import answers, cost_plot, heat_map, leaderboard, run_facts, studies
from workflow_scripts.report.site.answers import Answer
from workflow_scripts.report.site.cost_plot import CostPlot
from workflow_scripts.report.site.heat_map import HeatMap
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.leaderboard import Leaderboard
from workflow_scripts.report.site.page import SitePage

PATH = "index.html"


@dataclass(frozen=True, kw_only=True)
class OverviewContent:
    """Content of the first page; `untested` are the studies without comparisons, with their pages."""

    facts: tuple[tuple[str, str], ...]
    answers: Mapping[str, Sequence[Answer]]  # by system
    untested: tuple[tuple[Study, str], ...]
    board: Leaderboard
    map: HeatMap | None
    costs: CostPlot | Failure

    @property
    def ranks_path(self) -> str:
        """Page of the study whose ranks the leaderboard shows."""
        return studies.path(self.board.ranked_in) if self.board.ranked_in else ""


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    board = leaderboard.build(inputs)
    content = OverviewContent(
        facts=tuple(run_facts.list_facts(inputs)),
        answers=answers.answer_by_system(inputs),
        untested=tuple((study, studies.path(study)) for study in inputs.manifest.studies if not study.comparisons),
        board=board,
        map=heat_map.build(inputs, board),
        costs=failures.attempt(partial(cost_plot.build, inputs, board), name="the plot of costs"),
    )
    yield SitePage(path=PATH, title="Overview", template="site/overview.html.j2", content=content, group="Results")
