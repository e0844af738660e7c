"""Study: a grid of runs and cells, comparisons of them, and the table or figure that answers a question."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from workflow_scripts.configuration.field_types import Fraction, Metric, Name, Names, NamesOrNone, unique
from workflow_scripts.core.validation import Mistake, MistakeError, StrictModel, first_mistake, validate
from workflow_scripts.levels import registry

FILTERS = "visualise_filters"  # stage whose results some figures read
#: level of a factor; seeds are numbers
LevelName = str | int
#: factor -> level
Selection = Annotated[dict[str, LevelName], Field(min_length=1)]


class Grid(StrictModel):
    """Levels of each factor; the study runs every combination."""

    corpus: Names
    """data sets to pre-train on, or `none`"""
    encoder: Names
    """encoders that can be trained"""
    workers: Names
    """worker sets"""
    weighting: Names = ("equal",)
    """weightings"""
    augmentation: Names = ("none",)
    """augmentations"""
    recipe: Names
    """recipes"""
    pretrain_seed: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(unique)] = (
        0,
    )
    """pre-training seeds"""
    dataset: Names
    """labelled data sets"""
    head: Names = ("linear",)
    """heads"""
    scenario: Names
    """scenarios"""
    fraction: Annotated[tuple[Fraction, ...], Field(min_length=1), AfterValidator(unique)] = ("100pct",)
    """shares of the training labels: percentages above 0 and at most 100, such as 12.5pct, or entries of `fractions`"""
    protocol: Names = ("common",)
    """protocols of downstream training"""

    def levels(self, factor: str) -> tuple[LevelName, ...]:
        """Return the levels of a factor."""
        levels: tuple[LevelName, ...] = getattr(self, factor)
        return levels


class ComparisonConfig(StrictModel):
    """One comparison, for each data set."""

    name: str
    """the question in words"""
    better: Selection
    """factor levels of the cells expected to be better (the treatment)"""
    than: Selection
    """factor levels of the cells compared with (the reference)"""


class FigureChoice(StrictModel):
    """A kind of figure, and its options."""

    model_config = ConfigDict(extra="allow")

    kind: str
    """kind of figure: a file of workflow_scripts/figures"""

    @property
    def options(self) -> dict[str, Any]:
        """Options of the kind."""
        return dict(self.model_extra or {})


class QuarantineLimit(StrictModel):
    """Share of unusable clips beyond which nothing is trained and the run stops with their list."""

    largest_share: float = Field(ge=0, le=1)
    """largest tolerated share of quarantined clips in each data set"""


class ListeningPage(StrictModel):
    """A page to listen to the clips that activate the filters of a study's first frozen encoder most."""

    rows: Literal["clips", "crops"] = "clips"
    """what a row of the table is: a clip, by the mean over its crops, or a crop of its own"""
    audio: bool | None = None
    """whether the page includes the audio; null: that of twins, and of data sets whose licence lets copies be passed
    on"""


class StudyConfig(StrictModel):
    """One table or figure: a grid of runs and cells, and what it compares."""

    title: str
    """title, with the source"""
    question: str
    """the question that the study answers"""
    metric: Metric
    """metric of the table, and of the figure"""
    metrics: dict[str, Annotated[tuple[Metric, ...], Field(min_length=1), AfterValidator(unique)]] = Field(
        default_factory=dict
    )
    """data set -> metrics that the table shows of it side by side, and that comparisons on it are made in, instead of
    the one metric"""
    grid: Grid
    """levels of each factor"""
    grids: dict[Name, dict[str, tuple[LevelName, ...]]] = Field(default_factory=dict, min_length=1)
    """grids by name: each states the levels that differ from `grid`, and the study runs them all; without any it runs
    `grid` itself"""
    floors: NamesOrNone
    """encoders that are never trained, shown in every table"""
    checkpoints: NamesOrNone = ()
    """imported checkpoints, evaluated in the grid's scenarios that start from one"""
    rows: Annotated[tuple[str, ...], Field(min_length=1)]
    """factors whose levels make the rows"""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """factors whose levels make the columns"""
    figure: FigureChoice | None = None
    """how the figure is drawn; null for none"""
    listening: ListeningPage | None = None
    """an offline page to listen to filters: {} for one; null for none"""
    comparisons: tuple[ComparisonConfig, ...]
    """family of comparisons declared beforehand, per data set and in pairs of trials"""
    quarantine: QuarantineLimit | None = None
    """how many clips may be unusable in the data sets of this study"""
    audit: Literal["clean"] | None = None
    """clean: the run stops with the list where clips of the study's data sets are in two splits, or its test clips in
    what it pre-trains on"""
    deviations: bool = False
    """whether the table has the standard deviation of each number's trials (or pre-training seeds), as a publication
    may print it, beside the interval of the mean"""
    detect: float | None = Field(None, gt=0)
    """difference in printed points for which the tables state how many pre-training seeds would show it; the observed
    one if absent"""
    notes: str = ""
    """what a reader of the table must know"""

    @model_validator(mode="after")
    def _check_grids(self) -> Self:
        """Refuse a named grid with a mistake."""
        for name, change in self.grids.items():
            try:
                _replace_levels(self.grid, change)
            except ValidationError as error:
                path, message = first_mistake(error, Grid)
                raise MistakeError(Mistake(("grids", name, *path), message)) from error
        return self

    @functools.cached_property
    def all_grids(self) -> list[Grid]:
        """Grids that the study runs: its own, or one for each entry of `grids`."""
        return [_replace_levels(self.grid, change) for change in self.grids.values()] or [self.grid]

    def levels_of(self, factor: str) -> list[LevelName]:
        """Return every level of a factor in the study's grids, each once."""
        return list(dict.fromkeys(itertools.chain.from_iterable(grid.levels(factor) for grid in self.all_grids)))

    def list_levels(self) -> Iterator[tuple[tuple[str, ...], str, LevelName]]:
        """Yield the key, the factor and the name of every level in the study's grids."""
        for name, change in self.grids.items() or [("", {})]:
            for factor in Grid.model_fields:
                key = ("grids", name, factor) if factor in change else ("grid", factor)
                for level in change.get(factor, self.grid.levels(factor)):
                    yield key, factor, level

    @property
    def draws_filters(self) -> bool:
        """Whether the figure reads what `visualise_filters` computes."""
        return self.figure is not None and FILTERS in registry.fact(registry.load("figure", self.figure.kind), "READS")

    def selectable(self, factor: str) -> list[LevelName]:
        """Return the levels of a factor that the study's cells have, with those of floors and checkpoints."""
        besides: dict[str, Sequence[str]] = {"encoder": self.floors, "corpus": self.checkpoints}
        return [*self.levels_of(factor), *besides.get(factor, ())]

    def to_plain(self) -> dict[str, Any]:
        """Return the study as plain data: what it states, and all levels of its grid."""
        return self.model_dump(mode="json", exclude_unset=True) | {"grid": self.grid.model_dump(mode="json")}


def _replace_levels(grid: Grid, change: dict[str, tuple[LevelName, ...]]) -> Grid:
    """Return the grid with other levels of some factors."""
    return validate(Grid, grid.model_dump(mode="json") | change)
