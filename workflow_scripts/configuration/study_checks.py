"""Checks of a study against the config and the levels that it names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.grid_checks import GRID_CHECKS, Draft
from workflow_scripts.configuration.origin import StudyOrigin
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import require_known, unknown
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS, NONE, PRETRAINING
from workflow_scripts.levels.fractions import is_plain

FROZEN = "frozen"
#: metrics of data sets whose clips have one class, and of those whose clips can have several
METRICS = {
    "multiclass": ("macro_f1", "accuracy", "balanced_accuracy"),
    "multilabel": (
        "macro_f1",
        "macro_f1_positive",
        "accuracy",
        "roc_auc",
        "pr_auc",
        "roc_auc_clip",
        "pr_auc_clip",
    ),
}


def check_comparisons(study: StudyConfig, origin: StudyOrigin) -> None:
    """Raise `UserError` unless comparisons name cells that the study has."""
    for number, comparison in enumerate(study.comparisons):
        for side, selection in (("better", comparison.better), ("than", comparison.than)):
            _check_selection(selection, study, where=origin.at("comparisons", str(number), side))


def _check_levels(draft: Draft) -> None:
    """Raise unless all levels of the study are in the config."""
    allowed: dict[str, Iterable[str]] = {
        "corpus": draft.config.datasets,
        "encoder": draft.config.encoders,
        "workers": draft.config.worker_sets,
        "weighting": draft.config.weightings,
        "augmentation": draft.config.augmentations,
        "recipe": draft.config.recipes,
        "dataset": [name for name in draft.config.datasets if _has_labels(draft.config, name)],
        "head": draft.config.heads,
        "scenario": registry.names("scenario"),
        "protocol": draft.config.protocols,
        "fraction": [level for level in map(str, draft.study.levels_of("fraction")) if is_plain(level)]
        + list(draft.config.fractions),
    }
    for key, factor, level in draft.study.list_levels():
        if level in allowed.get(factor, (level,)) or (factor == "dataset" and level in draft.config.datasets):
            continue  # a data set without labels has a message of its own
        names = draft.config.trainable_encoders() if factor == "encoder" else allowed[factor]
        own = "" if draft.origin.key_in_trim(*key) else f"; state yours in {draft.trim_key(*key)} of the config"
        raise UserError(f"{draft.where(*key)}: {unknown(factor, level, names)}{own}")
    for floor in draft.study.floors:
        if floor not in draft.config.encoders:
            raise UserError(f"{draft.where('floors')}: {unknown('floor', floor, _untrainable(draft.config))}")
    for checkpoint in draft.study.checkpoints:
        require_known(checkpoint, draft.config.checkpoints, kind="checkpoint", where=draft.where("checkpoints"))
    for axis, factors in (("rows", draft.study.rows), ("columns", draft.study.columns)):
        for name in factors:
            require_known(name, FACTORS, kind="factor", where=draft.where(axis))


def _check_grids(draft: Draft) -> None:
    """Raise unless the levels of each grid go together."""
    for grid, check in itertools.product(draft.study.all_grids, GRID_CHECKS):
        check(grid, draft)


def _check_metrics(draft: Draft) -> None:
    """Raise unless every data set can be measured in the metrics that are shown of it, the figure's among them."""
    for dataset in draft.study.metrics:
        if dataset not in draft.config.datasets:  # of one that only another trim leaves out, the metrics may stay
            raise UserError(
                f"{draft.where('metrics')}: {unknown('data set', dataset, draft.study.levels_of('dataset'))}"
            )
    for dataset in map(str, draft.study.levels_of("dataset")):
        has_own = dataset in draft.study.metrics
        metrics = draft.study.metrics.get(dataset, (draft.study.metric,))
        allowed = METRICS.get(draft.config.level("dataset", dataset).module.TASK, metrics)
        for metric in metrics:
            if metric not in allowed:
                key = draft.where(*(("metrics", dataset) if has_own else ("metric",)))
                raise UserError(f"{key}: {metric} cannot be measured on {dataset}; allowed: {', '.join(allowed)}")
        if draft.study.figure and draft.study.metric not in metrics:
            raise UserError(
                f"{draft.where('metrics', dataset)}: the figure needs {draft.study.metric}, so the table must show it"
            )


def _check_floors(draft: Draft) -> None:
    """Raise unless floors stay as they are, and untrained ones have the options of the encoder that is trained."""
    for floor in draft.study.floors:
        if draft.config.is_trainable(floor):
            fixed = ", ".join(_untrainable(draft.config))
            raise UserError(f"{draft.where('floors')}: {floor} can be trained, so it is no floor; allowed: {fixed}")
        level = draft.config.level("encoder", floor)
        if level.trained:
            continue
        if registry.fact(level.module, "EXTERNAL"):
            raise UserError(
                f"{draft.where('floors')}: the network of {floor} is not part of Prelude, so it is no floor"
            )
        names = [name for name in map(str, draft.study.levels_of("encoder")) if draft.config.is_trainable(name)]
        alike = [name for name in names if draft.config.level("encoder", name).file == level.file]
        entries = [("encoders", name) for name in (floor, *alike[:1])]
        if alike and level.options not in [draft.config.level("encoder", name).options for name in alike]:
            raise UserError(
                f"{draft.where('floors')}: {floor} is {alike[0]} untrained, so encoders.{floor} and "
                f"encoders.{alike[0]} must have the same options{draft.origin.config.overrides(*entries)}"
            )


def _check_labels(draft: Draft) -> None:
    """Raise unless the data sets to evaluate on have labels; a folder has them if its options say where."""
    for key, factor, dataset in draft.study.list_levels():
        if factor != "dataset":
            continue
        if not _has_labels(draft.config, str(dataset)):
            raise UserError(f"{draft.where(*key)}: {dataset} has no labels, so nothing can be evaluated on it")


def _has_labels(config: Config, dataset: str) -> bool:
    level = config.level("dataset", dataset)
    task = level.module.TASK
    return task != "unlabelled" and not (task == "by options" and level.options.labels == "none")


def _untrainable(config: Config) -> list[str]:
    """Return the names of the encoders that may be floors."""
    return [name for name in config.encoders if not config.is_trainable(name)]


def _check_table(draft: Draft) -> None:
    """Raise unless every factor with several levels shows in the table; seeds are averaged over."""
    factors = sorted({*draft.study.rows, *draft.study.columns})
    for factor in FACTORS:
        levels = draft.study.levels_of(factor)
        if len(levels) > 1 and factor not in (*factors, "pretrain_seed") and not _follows(factor, factors, draft.study):
            raise UserError(
                f"{draft.where('grid', factor)}: {len(levels)} levels, but the table has no row or column for them; "
                f"several are allowed of: {', '.join(factors)}"
            )


def _follows(factor: str, factors: Iterable[str], study: StudyConfig) -> bool:
    """Return whether the factors that a table shows leave one level of another: named grids may tie them together."""
    level_of: dict[tuple[Any, ...], Any] = {}
    for grid in study.all_grids:
        for scenario in grid.scenario:
            levels = {name: grid.levels(name) for name in FACTORS} | {"scenario": (scenario,)}
            if not registry.load("scenario", scenario).PRETRAINED:
                levels |= {name: (NONE,) for name in PRETRAINING if name != "encoder"}
            for cell in itertools.product(*(levels[name] for name in factors)):
                for level in levels[factor]:
                    if level_of.setdefault(cell, level) != level:
                        return False
    return True


def _check_figure(draft: Draft) -> None:
    """Raise unless the kind of figure exists, has the options, and they name cells of the study."""
    if draft.study.figure is None:
        return
    kinds = registry.names("figure")
    require_known(draft.study.figure.kind, kinds, kind="figure", where=draft.where("figure", "kind"))
    options = draft.study.figure.options
    level = registry.load("figure", draft.study.figure.kind)
    validated = registry.options(level, options, where=draft.where("figure"))
    for key, selection in _selections(options, ("figure",)):
        _check_selection(selection, draft.study, where=draft.where(*key))
    if draft.study.draws_filters:
        _check_filters(draft)
    if hasattr(level, "reads_heads") and level.reads_heads(validated):
        _require_kept(FROZEN, draft, where=draft.where("figure"), reason="it draws kept heads")


def _require_kept(scenario: str, draft: Draft, *, where: str, reason: str) -> None:
    """Raise unless the first trials of a scenario keep their weights."""
    for grid in draft.study.all_grids:
        for head, protocol in itertools.product(grid.head, grid.protocol) if scenario in grid.scenario else ():
            if draft.config.protocols[protocol].resolve(head=head, scenario=scenario).get("keep") is None:
                raise UserError(f"{where}: {reason}: set protocols.{protocol}.scenarios.{scenario}.keep to first_trial")


def _check_listening(draft: Draft) -> None:
    """Raise unless a page to listen to has a frozen encoder with heads on embeddings that are kept."""
    if draft.study.listening is None:
        return
    where = draft.where("listening")
    if not any(FROZEN in grid.scenario for grid in draft.study.all_grids):
        raise UserError(f"{where}: it needs an encoder that is evaluated {FROZEN}: add scenario {FROZEN} to the grid")
    _require_kept(FROZEN, draft, where=where, reason="its tags are those of kept heads")


def _check_filters(draft: Draft) -> None:
    """Raise unless all encoders have filters to draw, and those that a trial trains are kept."""
    for encoder in (*map(str, draft.study.levels_of("encoder")), *draft.study.floors):
        if not registry.fact(draft.config.level("encoder", encoder).module, "CONVOLUTIONS"):
            raise UserError(
                f"{draft.where('figure', 'kind')}: {encoder} is no stack of convolutions, whose filters could be "
                "drawn: leave it out"
            )
    for scenario in dict.fromkeys(name for grid in draft.study.all_grids for name in grid.scenario):
        if registry.load("scenario", scenario).TRAINS_ENCODER:
            reason = f"it draws the encoder that the first {scenario} trial trains"
            _require_kept(scenario, draft, where=draft.where("figure", "kind"), reason=reason)


def _selections(options: object, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the options of a figure that name cells, with their keys; `of` and `over` hold one each."""
    if isinstance(options, Mapping):
        nested = key == ("figure",) or set(options) <= {"of", "over"}
        if not nested:
            yield key, options
        for name, value in options.items() if nested else ():
            yield from _selections(value, (*key, name))
    elif isinstance(options, list):
        for number, value in enumerate(options):
            yield from _selections(value, (*key, str(number)))


def _check_selection(selection: Mapping[str, Any], study: StudyConfig, *, where: str) -> None:
    """Raise unless a study has the levels of a selection; `where` is file and key."""
    for factor, levels in selection.items():
        require_known(factor, FACTORS, kind="factor", where=where)
        allowed = study.selectable(factor)
        for level in levels if isinstance(levels, list) else [levels]:
            if level not in allowed:
                allowed_levels = ", ".join(map(str, allowed))
                raise UserError(f"{where}.{factor}: {level!r} is not in the grid; allowed: {allowed_levels}")


def _check_comparisons(draft: Draft) -> None:
    """Raise unless comparisons name cells that the study has."""
    check_comparisons(draft.study, draft.origin)


#: in this order: later checks rely on what earlier ones found right
STUDY_CHECKS: tuple[Callable[[Draft], None], ...] = (
    _check_levels,
    _check_labels,
    _check_grids,
    _check_metrics,
    _check_floors,
    _check_table,
    _check_comparisons,
    _check_figure,
    _check_listening,
)
