"""Heat map: encoders by data sets in one setting, against the best floor of each data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.leaderboard import SETTING, Leaderboard, LeaderboardRow, Score, ScoreColumn

#: studies made to compare encoders over data sets, which come before any other
PREFERRED = ("all_systems", "encoders_everywhere", "combined_workers", "foreign_encoders")
ABOVE, BELOW = "above", "below"
LEGEND_SHARES = (100, 50, 0, 50, 100)  # percent of the largest difference: two shades of each colour, and none


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """One number with its colour: the side of the reference it is on, and its share of the largest difference in %."""

    text: str
    path: str
    side: str
    share: int


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    """One encoder; None where it has no number."""

    label: str
    floor: bool
    cells: tuple[HeatCell | None, ...]


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Encoders by data sets of one study in one setting; `meaning` says what the colours are."""

    study: Study
    path: str
    setting: str
    columns: tuple[ScoreColumn, ...]
    rows: tuple[HeatRow, ...]
    meaning: str
    legend: tuple[tuple[str, int, str], ...]  # side, share and text of each shade


def build(inputs: ReportInputs, board: Leaderboard) -> HeatMap | None:
    """Return the heat map of the first preferred study with several encoders and data sets, else of the largest one.

    None if no study has measured two encoders on two data sets in one setting.
    """
    best: tuple[Study, tuple[str, ...], int] | None = None
    for study in sorted(inputs.manifest.studies, key=lambda study: _preference(study.name)):
        setting, size = _largest_setting([row for row in board.rows if study.name in row.studies])
        if size and (best is None or size > best[2]):
            best = (study, setting, size)
            if study.name in PREFERRED:
                break
    return _lay_out(board, best[0], best[1]) if best else None


def _preference(name: str) -> int:
    return PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)


def _largest_setting(rows: Sequence[LeaderboardRow]) -> tuple[tuple[str, ...], int]:
    """Return the setting with the most numbers, and how many, if it has two encoders and data sets; else nothing."""
    numbers: Counter[tuple[str, ...]] = Counter()
    encoders: dict[tuple[str, ...], set[str]] = {}
    columns: dict[tuple[str, ...], set[int]] = {}
    for row in rows:
        places = _measured_places(row)
        if places:
            numbers[row.setting] += len(places)
            encoders.setdefault(row.setting, set()).add(row.levels["encoder"])
            columns.setdefault(row.setting, set()).update(places)
    fit = [setting for setting in numbers if len(encoders[setting]) > 1 and len(columns[setting]) > 1]
    setting = max(fit, key=lambda setting: numbers[setting], default=())
    return setting, numbers[setting] if fit else 0


def _measured_places(row: LeaderboardRow) -> list[int]:
    return [place for place, score in enumerate(row.scores) if score is not None and score.entry.mean is not None]


def _lay_out(board: Leaderboard, study: Study, setting: tuple[str, ...]) -> HeatMap:
    of_setting = [row for row in board.rows if study.name in row.studies and row.setting == setting]
    places = sorted({place for row in of_setting for place in _measured_places(row)})
    columns = [board.columns[place] for place in places]
    references = {place: _reference([row for row in of_setting if row.floor], place) for place in places}
    against_floors = any(reference is not None for reference in references.values())
    if not against_floors:
        references = {place: min(_means(of_setting, place)) for place in places}
    largest = {
        unit: max(
            abs(mean - reference)
            for place, column in zip(places, columns, strict=True)
            if column.measure.difference_unit == unit and (reference := references[place]) is not None
            for mean in _means(of_setting, place)
        )
        for unit in dict.fromkeys(
            column.measure.difference_unit
            for place, column in zip(places, columns, strict=True)
            if references[place] is not None
        )
    }
    ordered = sorted(of_setting, key=lambda row: row.floor)
    return HeatMap(
        study=study,
        path=studies.path(study),
        setting=", ".join(f"{labels.name(f)} {labels.name(level)}" for f, level in zip(SETTING, setting, strict=True)),
        columns=tuple(columns),
        rows=tuple(
            HeatRow(
                label=row.label,
                floor=row.floor,
                cells=tuple(
                    _cell(row.scores[place], references[place], largest.get(column.measure.difference_unit, 0))
                    for place, column in zip(places, columns, strict=True)
                ),
            )
            for row in ordered
        ),
        meaning=_meaning(against_floors=against_floors),
        legend=tuple(_legend(largest, against_floors=against_floors)),
    )


def _means(rows: Sequence[LeaderboardRow], place: int) -> list[float]:
    scores = (row.scores[place] for row in rows)
    return [score.entry.mean for score in scores if score is not None and score.entry.mean is not None]


def _reference(floors: Sequence[LeaderboardRow], place: int) -> float | None:
    """Return the mean of the best floor in a column; None without one."""
    return max(_means(floors, place), default=None)


def _cell(score: Score | None, reference: float | None, largest: float) -> HeatCell | None:
    if score is None:
        return None
    if score.entry.mean is None or reference is None:
        return HeatCell(text=score.text, path=score.path, side="", share=0)
    difference = score.entry.mean - reference
    return HeatCell(
        text=score.text,
        path=score.path,
        side=ABOVE if difference > 0 else BELOW if difference < 0 else "",
        share=round(100 * abs(difference) / largest) if largest else 0,
    )


def _meaning(*, against_floors: bool) -> str:
    meaning = (
        "Blue numbers are above the best floor of their column, orange ones below"
        if against_floors
        else "No floor was measured: the deeper the blue, the further above the lowest number of the column"
    )
    return f"{meaning}; one scale for all columns."


def _legend(largest: Mapping[str, float], *, against_floors: bool) -> Iterator[tuple[str, int, str]]:
    """Yield the shades with their difference in the unit of the columns, from the lowest."""
    unit, most = next(iter(largest.items()))
    for place, share in enumerate(LEGEND_SHARES):
        sign = (place > 2) - (place < 2)
        if sign < 0 and not against_floors:
            continue
        value = number_format.signed_number(sign * share / 100 * most, 1)
        yield {1: ABOVE, -1: BELOW, 0: ""}[sign], share, f"{value} {unit}".strip()
