"""Checks a config and its studies before anything runs.

Every mistake ends in one line that names file, key and allowed values.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from workflow_scripts.configuration import compatibility
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.configuration.separation_checks import check_files_of_heads, check_heads_on_maps, check_separation
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_facts import remotes
from workflow_scripts.levels.factors import FACTORS, NONE, PRETRAINING
from workflow_scripts.planning.grids import grids, levels_of
from workflow_scripts.planning.levels import workers_of

#: sections of the config that hold the options of levels, and the factor they belong to
LEVEL_SECTIONS = {
    "encoders": "encoder",
    "workers": "worker",
    "weightings": "weighting",
    "augmentations": "augmentation",
    "heads": "head",
}
#: what a config may replace in a study besides the levels of its grid
BESIDE_THE_GRID = (
    *("floors", "checkpoints", "rows", "columns", "metrics"),
    *("comparisons", "published", "figure", "quarantine"),
)
#: keys of a comparison that pick cells by their levels
SIDES = ("better", "than")
#: metrics of data sets whose clips have one class, and of those whose clips can have several
METRICS = {
    "multiclass": ("macro_f1", "accuracy", "balanced_accuracy"),
    "multilabel": (
        *("macro_f1", "macro_f1_positive", "accuracy"),
        *("roc_auc", "pr_auc", "roc_auc_clip", "pr_auc_clip"),
    ),
}
#: levels of the factors that most studies do not vary
GRID_DEFAULTS: dict[str, list[Any]] = {
    "weighting": ["equal"],
    "augmentation": ["none"],
    "pretrain_seed": [0],
    "head": ["linear"],
    "fraction": ["100pct"],
}


def check(config: Mapping[str, Any], *, files: Sequence[Path], folder: Path) -> dict[str, dict[str, Any]]:
    """Check a merged config and return its studies by name, trimmed.

    `files` are the config files it was merged from, `folder` holds `schema/` and `studies/`. Raises `UserError`.
    """
    schema = _read_schema(folder, "config")
    for file in files:
        _check_schema(_read_yaml(file), _without_required(schema), where=str(file))
    where = str(files[-1]) if files else "config"
    _check_schema(config, schema, where=where)
    _check_levels(config, where=where)
    study_schema = _read_schema(folder, "study")
    studies = {}
    for name in config["studies"]:
        _known(name, _study_names(folder), where=f"{where}: studies", what="study")
        study = load_study(name, folder=folder)
        _check_selections(study, where=f"{folder}/studies/{name}.yaml")
        trim = config.get("trim", {}).get(name, {})
        trimmed = _replaced(study, trim, where=f"{where}: trim.{name}")
        _check_schema(trimmed, study_schema, where=f"{where}: trim.{name}")
        studies[name] = _without_what_was_trimmed(trimmed, trim)
        _check_study(studies[name], config, where=f"{folder}/studies/{name}.yaml (as trimmed by {where})")
    for name in config.get("trim", {}):  # those of studies that are not chosen may stay
        _known(name, _study_names(folder), where=f"{where}: trim", what="study")
    return studies


def merged(files: Sequence[Path]) -> dict[str, Any]:
    """Return the config that Snakemake makes of these files: later ones go over earlier ones, key by key."""
    config: dict[str, Any] = {}
    for file in files:
        _put_over(config, _read_yaml(file))
    return config


def _put_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _put_over(below[key], value)
        else:
            below[key] = value


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and their values (key: value), not a {type(content).__name__}")
    return content


def _read_schema(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")))


def _without_required(schema: Any) -> Any:
    """Return the schema for a file that states only what differs from another one."""
    if isinstance(schema, dict):
        return {key: _without_required(value) for key, value in schema.items() if key != "required"}
    return [_without_required(item) for item in schema] if isinstance(schema, list) else schema


def _check_schema(content: Any, schema: dict[str, Any], *, where: str) -> None:
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if error is not None:
        key = ".".join(str(part) for part in error.absolute_path)
        raise UserError(f"{where}: {key + ': ' if key else ''}{_in_words(error)}")


def _in_words(error: jsonschema.ValidationError) -> str:
    """What is wrong and what is allowed, without jsonschema's dump of the whole instance."""
    expected = error.validator_value
    match error.validator:
        case "additionalProperties":
            allowed = sorted(error.schema.get("properties", {}))
            unknown = sorted(set(error.instance) - set(allowed))
            return f"unknown key {', '.join(map(repr, unknown))}; allowed: {', '.join(allowed)}"
        case "enum":
            return f"{error.instance!r} is not allowed; allowed: {', '.join(map(str, expected))}"
        case "type":
            kinds = expected if isinstance(expected, str) else " or ".join(expected)
            return f"{error.instance!r} has the wrong type; allowed: {kinds}"
        case "pattern" | "propertyNames":
            return f"{error.instance!r} has the wrong form; allowed: {error.schema.get('description', expected)}"
        case _:
            return error.message


def _check_levels(config: Mapping[str, Any], *, where: str) -> None:
    """Every level named in the config exists, and its options are those its file declares."""
    for section, factor in LEVEL_SECTIONS.items():
        for name in config[section]:
            key = f"{where}: {section}.{name}"
            entry = registry.entry(config[section], name)
            _known(entry.level, registry.names(factor), where=key, what=factor)
            if not isinstance(entry.trained, bool) or not (entry.trained or section == "encoders"):
                raise UserError(f"{key}.trained: {entry.trained!r} is not allowed; allowed: true or false, in encoders")
            if not isinstance(entry.label, str | None):
                raise UserError(f"{key}.label: {entry.label!r} has the wrong type; allowed: text")
            _check_options(factor, entry.level, entry.options, where=key)
    for name in config["evaluation"].get("scenarios", {}):
        _known(name, registry.names("scenario"), where=f"{where}: evaluation.scenarios", what="scenario")
    for name in config["evaluation"].get("heads", {}):
        _known(name, config["heads"], where=f"{where}: evaluation.heads", what="head")
    for name in config["weightings"]:
        source = registry.load("weighting", registry.entry(config["weightings"], name).level).WEIGHED_BY
        if source:
            _known(source, config["weightings"], where=f"{where}: weightings.{name} is weighed by", what="weighting")
    for name, recipe in config["recipes"].items():
        parse(Recipe, recipe, where=f"{where}: recipes.{name}")
    _check_datasets(config, where=where)
    _check_checkpoints(config, where=where)
    _check_worker_sets(config, where=where)


def _check_worker_sets(config: Mapping[str, Any], *, where: str) -> None:
    for name in config["workers"]:
        level = registry.entry(config["workers"], name).level
        if level != name and registry.load("worker", level).PRECOMPUTED:
            raise UserError(f"{where}: workers.{name}: {level} stores its targets under its own name: call it {level}")
    for name, members in config["worker_sets"].items():
        for worker in members:
            _known(worker, config["workers"], where=f"{where}: worker_sets.{name}", what="worker")
        if len({registry.entry(config["workers"], worker).level for worker in members}) != len(members):
            raise UserError(f"{where}: worker_sets.{name}: names a worker twice")


def _check_datasets(config: Mapping[str, Any], *, where: str) -> None:
    """Every data set can come from the source it names."""
    for name, entry in config["datasets"].items():
        key = f"{where}: datasets.{name}"
        if "loader" not in entry or "source" not in entry:
            raise UserError(f"{key}: must state loader and source; allowed sources: download, local, twin")
        _known(entry["loader"], registry.names("dataset"), where=f"{key}.loader", what="dataset")
        _check_options("dataset", entry["loader"], entry.get("options") or {}, where=f"{key}.options")
        if entry["source"] == "local" and not entry.get("path"):
            raise UserError(f"{key}: source local needs a path: the folder that holds your copy")
        loader = registry.load("dataset", entry["loader"])
        if entry["source"] == "download" and not remotes(loader, registry.options(loader, entry.get("options") or {})):
            raise UserError(f"{key}.source: {entry['loader']} cannot be downloaded; allowed: local, twin")
        if entry["source"] == "twin":
            _known(entry["loader"], registry.names("twin"), where=f"{key}.source", what="twin of data set")
            if not entry.get("twin"):
                raise UserError(f"{key}: source twin needs twin: {{clips: ..., clip_seconds: ...}}")


def _check_checkpoints(config: Mapping[str, Any], *, where: str) -> None:
    """Every checkpoint names an encoder, and cannot be mistaken for a corpus."""
    for name, entry in config.get("checkpoints", {}).items():
        key = f"{where}: checkpoints.{name}"
        if name in config["datasets"]:
            raise UserError(f"{key}: is also a data set; give the checkpoint another name")
        trainable = [encoder for encoder in config["encoders"] if _trainable(config, encoder)]
        _known(entry["encoder"], trainable, where=f"{key}.encoder", what="encoder that can be trained")
        level = registry.entry(config["encoders"], entry["encoder"]).level
        _check_options("encoder", level, entry.get("options") or {}, where=f"{key}.options")


def _check_options(factor: str, name: str, given: Mapping[str, Any], *, where: str) -> None:
    """Raise unless these are options of a level, with values that it allows."""
    registry.options(registry.load(factor, name), given, where=where)


def load_study(name: str, *, folder: Path) -> dict[str, Any]:
    """Return a study as its file states it, untrimmed, with the levels of `GRID_DEFAULTS` where its grid has none."""
    path = folder / "studies" / f"{name}.yaml"
    study = _read_yaml(path)
    _check_schema(study, _read_schema(folder, "study"), where=str(path))
    # in the order of FACTORS, so rows and messages list the factors as paths do
    given = GRID_DEFAULTS | study["grid"]
    return {**study, "grid": {factor: given[factor] for factor in FACTORS}}


def _study_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "studies").glob("*.yaml"))


def _replaced(study: dict[str, Any], trim: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return the study with what `trim` states instead of its own."""
    trimmed = copy.deepcopy(study)
    for key, value in trim.items():
        if key in trimmed["grid"]:
            trimmed["grid"][key] = value
        elif key == "grids":
            trimmed["grids"] = _trimmed_grids(study, value, where=f"{where}.grids")
        elif key == "published":
            continue  # no part of a study: read by statistics.reproduction.statements
        elif key in BESIDE_THE_GRID:
            trimmed[key] = value
        else:
            allowed = ", ".join([*study["grid"], "grids", *BESIDE_THE_GRID])
            raise UserError(f"{where}: unknown factor {key!r}; allowed: {allowed}")
    return trimmed


def _without_what_was_trimmed(study: dict[str, Any], trim: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trimmed study without comparisons of levels that are gone."""
    kept = dict(study)
    if "comparisons" not in trim:
        kept["comparisons"] = [comparison for comparison in kept["comparisons"] if _in_grid(comparison, kept)]
    if kept.get("checkpoints") and "corpus" not in (*kept["rows"], *kept["columns"]):
        kept["rows"] = ["corpus", *kept["rows"]]  # it tells imported checkpoints from the others
    return kept


def _trimmed_grids(study: Mapping[str, Any], trim: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return the named grids of a study with the levels `trim` states instead of theirs; null leaves a grid out."""
    named = study.get("grids", {})
    for name in trim:
        _known(name, named, where=where, what="grid")
    return {name: {**grid, **trim.get(name, {})} for name, grid in named.items() if trim.get(name, {}) is not None}


def _in_grid(comparison: Mapping[str, Any], study: Mapping[str, Any]) -> bool:
    """Return whether a study has all levels that a comparison names."""
    return all(level in _selectable(study, factor) for side in SIDES for factor, level in comparison[side].items())


def _selectable(study: Mapping[str, Any], factor: str) -> list[Any]:
    """Levels of a factor that a study's cells have."""
    besides = {"encoder": "floors", "corpus": "checkpoints"}.get(factor, "")
    return [*levels_of(study, factor), *study.get(besides, [])]


def _check_study(study: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    named = {
        "corpus": config["datasets"],
        "encoder": config["encoders"],
        "workers": config["worker_sets"],
        "weighting": config["weightings"],
        "augmentation": config["augmentations"],
        "recipe": config["recipes"],
        "dataset": config["datasets"],
        "head": config["heads"],
        "scenario": registry.names("scenario"),
    }
    for factor, allowed in named.items():
        for level in levels_of(study, factor):
            _known(level, allowed, where=f"{where}: grid.{factor}", what=factor)
    for floor in study["floors"]:
        _known(floor, config["encoders"], where=f"{where}: floors", what="encoder")
    for checkpoint in study.get("checkpoints", []):
        _known(checkpoint, config.get("checkpoints", {}), where=f"{where}: checkpoints", what="checkpoint")
    for factor in (*study["rows"], *study["columns"]):
        _known(factor, study["grid"], where=f"{where}: rows and columns", what="factor")
    _check_contradictions(study, config, where=where)


def _check_contradictions(study: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    for named in grids(study):
        grid = {**named, "head": [registry.entry(config["heads"], head).level for head in named["head"]]}
        _check_heads(grid, config, where=where)
        check_heads_on_maps(named, study["floors"], config, where=where)
        check_files_of_heads(named, config, where=where)
        for encoder in grid["encoder"]:
            if _trainable(config, encoder) or _heads_learn_alone(grid):
                continue
            trainable = [name for name in config["encoders"] if _trainable(config, name)]
            shown = ", ".join(trainable)
            raise UserError(f"{where}: grid.encoder: {encoder} cannot be trained, make it a floor; allowed: {shown}")
    _check_metrics(study, config, where=where)
    for floor in study["floors"]:
        if _trainable(config, floor):
            fixed = [name for name in config["encoders"] if not _trainable(config, name)]
            raise UserError(f"{where}: floors: {floor} can be trained, so it is no floor; allowed: {', '.join(fixed)}")
        _check_untrained(floor, study, config, where=where)
    _check_cells_apart(study, where=where)
    for grid in grids(study):
        _check_pretraining(grid, config, where=where)
        check_separation(grid, config, where=where)
        for weighting, recipe in itertools.product(grid["weighting"], grid["recipe"]):
            if (
                registry.load("weighting", registry.entry(config["weightings"], weighting).level).WEIGHED_BY
                and config["recipes"][recipe].get("validation_batches") == 0
            ):
                raise UserError(
                    f"{where}: grid.weighting: {weighting} needs validation losses: "
                    f"set recipes.{recipe}.validation_batches above 0"
                )
    for dataset in levels_of(study, "dataset"):
        if not _labelled(config["datasets"][dataset]):
            raise UserError(f"{where}: grid.dataset: {dataset} has no labels, so nothing can be evaluated on it")
    _check_selections(study, where=where)
    _check_figure(study, where=where)


def _check_untrained(floor: str, study: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    """Raise unless an untrained floor is the same network as an encoder that the study trains, where any is alike."""
    if registry.entry(config["encoders"], floor).trained:
        return
    level, options = _encoder(config, floor)
    alike = [
        name for name in levels_of(study, "encoder") if _trainable(config, name) and _encoder(config, name)[0] is level
    ]
    if alike and options not in [_encoder(config, name)[1] for name in alike]:
        raise UserError(
            f"{where}: floors: {floor} is {alike[0]} untrained, so encoders.{floor} and encoders.{alike[0]} must have "
            "the same options"
        )


def _trainable(config: Mapping[str, Any], encoder: str) -> bool:
    """Return whether an encoder of the config is, or can be, trained."""
    entry = registry.entry(config["encoders"], encoder)
    return entry.trained and bool(registry.load("encoder", entry.level).TRAINABLE)


def _check_pretraining(grid: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    """Every encoder, worker set, augmentation and recipe of a grid go together, where it pre-trains."""
    factors = ("encoder", "workers", "augmentation", "recipe")
    pretrains = any(registry.load("scenario", name).PRETRAINED for name in grid["scenario"])
    for chosen in itertools.product(*(grid[factor] for factor in factors)) if pretrains else []:
        named = dict(zip(factors, chosen, strict=True))
        try:
            _check_together(config, **named)
        except UserError as error:
            shown = " with ".join(f"{factor} {name}" for factor, name in named.items())
            raise UserError(f"{where}: grid: {shown}: {error}") from error


def _check_together(config: Mapping[str, Any], *, encoder: str, workers: str, augmentation: str, recipe: str) -> None:
    tasks = {name: registry.load("worker", name) for name in workers_of(config, workers)}
    chosen = registry.entry(config["augmentations"], augmentation)
    effects = registry.options(registry.load("augmentation", chosen.level), chosen.options)
    network, built = _encoder(config, encoder)
    numbers = parse(Recipe, config["recipes"][recipe], where=f"recipes.{recipe}")
    views = max((getattr(task, "VIEWS", 1) for task in tasks.values()), default=1)
    compatibility.require_views(views, augmentation=augmentation, one_sided=getattr(effects, "one_sided", False))
    compatibility.require_pieces(
        joined=numbers.join_songs,
        stored=[task for task, level in tasks.items() if level.PRECOMPUTED],
        mixing=[task for task, level in tasks.items() if hasattr(level, "mix")],
        views=views,
    )
    if hasattr(effects, "require_rate"):
        effects.require_rate(network.sample_rate(built))
    for task, given in workers_of(config, workers).items():
        _check_task(tasks[task], given, network=network, built=built, seconds=numbers.chunk_seconds)


def _encoder(config: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """Return the file of an encoder of the config, and its options."""
    entry = registry.entry(config["encoders"], name)
    level = registry.load("encoder", entry.level)
    return level, registry.options(level, entry.options)


def _check_task(task: Any, given: Mapping[str, Any], *, network: Any, built: Any, seconds: float) -> None:
    """Raise unless an encoder (its file, its options) has the frames and context that a worker needs."""
    options = registry.options(task, given)
    if hasattr(task, "FRAME_EVERY"):
        compatibility.require_frames(network.hop(built), every=task.FRAME_EVERY)
    if hasattr(task, "require_chunk"):
        frames = compatibility.most_frames(seconds, sample_rate=network.sample_rate(built), hop=network.hop(built))
        task.require_chunk(options, frames=frames)
    if not getattr(options, "own_context", True):  # it reads the encoder's
        size = network.context_size(built) if hasattr(network, "context_size") else 0
        compatibility.require_context(size, wanted=options.context)


def _check_metrics(study: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    """Every data set can be measured in the metrics that are shown of it, among them that of the figure."""
    stated = study.get("metrics", {})
    for dataset in stated:
        _known(dataset, config["datasets"], where=f"{where}: metrics", what="data set")
    for dataset in levels_of(study, "dataset"):
        shown = stated.get(dataset, [study["metric"]])
        allowed = METRICS.get(_task(config["datasets"][dataset]))
        for metric in shown:
            if allowed is not None and metric not in allowed:
                what = f"{where}: metrics.{dataset}" if dataset in stated else f"{where}: metric"
                raise UserError(f"{what}: {metric} cannot be measured on {dataset}; allowed: {', '.join(allowed)}")
        if study.get("figure") and study["metric"] not in shown:
            raise UserError(
                f"{where}: metrics.{dataset}: the figure needs {study['metric']}, so the table must show it"
            )


def _check_heads(grid: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    """Every scenario can be given what every head reads, and every encoder has it."""
    for head in grid["head"]:
        reads = registry.load("head", head).READS
        for scenario in grid["scenario"]:
            wanted = getattr(registry.load("scenario", scenario), "HEADS_READ", reads)
            if wanted != reads:
                raise UserError(
                    f"{where}: grid.scenario: {scenario} is for heads that read {wanted}, and {head} reads {reads}"
                )
        for encoder in grid["encoder"] if reads == "maps" else []:
            if not _has_maps(config, encoder):
                able = sorted(name for name in config["encoders"] if _has_maps(config, name))
                raise UserError(
                    f"{where}: grid.encoder: {encoder} has no maps for head {head}; allowed: {', '.join(able)}"
                )


def _has_maps(config: Mapping[str, Any], encoder: str) -> bool:
    """Return whether heads may read maps of an encoder; one that stays untrained is evaluated without them."""
    entry = registry.entry(config["encoders"], encoder)
    return entry.trained and bool(getattr(registry.load("encoder", entry.level), "MAPS", False))


def _heads_learn_alone(grid: Mapping[str, Any]) -> bool:
    """Whether all there is to train in the grid is heads: nothing is pre-trained, and they need no trained encoder."""
    return all(registry.load("head", head).READS == "maps" for head in grid["head"]) and not any(
        registry.load("scenario", scenario).PRETRAINED for scenario in grid["scenario"]
    )


def _check_selections(study: Mapping[str, Any], *, where: str) -> None:
    """Raise unless comparisons name cells that the study has."""
    for number, comparison in enumerate(study["comparisons"]):
        for side in SIDES:
            _check_selection(comparison[side], study, where=f"{where}: comparisons.{number}.{side}")


def _check_figure(study: Mapping[str, Any], *, where: str) -> None:
    """The kind of figure exists, its options are those its file declares, and the cells they pick are in the grid."""
    options = dict(study.get("figure") or {})
    if not options:
        return
    kind = options.pop("kind")
    _known(kind, registry.names("figure"), where=f"{where}: figure.kind", what="figure")
    _check_options("figure", kind, options, where=f"{where}: figure")
    for key, selection in _selections(options, "figure"):
        _check_selection(selection, study, where=f"{where}: {key}")


def _selections(options: object, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Mappings that pick cells among the options of a figure, with their keys; `of` and `over` hold one each."""
    if isinstance(options, Mapping):
        nested = key == "figure" or set(options) <= {"of", "over"}
        if not nested:
            yield key, options
        for name, value in options.items() if nested else ():
            yield from _selections(value, f"{key}.{name}")
    elif isinstance(options, list):
        for number, value in enumerate(options):
            yield from _selections(value, f"{key}.{number}")


def _check_selection(selection: Mapping[str, Any], study: Mapping[str, Any], *, where: str) -> None:
    for factor, level in selection.items():
        _known(factor, study["grid"], where=where, what="factor")
        allowed = _selectable(study, factor)
        for each in level if isinstance(level, list) else [level]:
            if each not in allowed:
                shown = ", ".join(map(str, allowed))
                raise UserError(f"{where}.{factor}: {each!r} is not in the grid; allowed: {shown}")


def _check_cells_apart(study: Mapping[str, Any], *, where: str) -> None:
    """Every factor of which the grid has several levels must show in the table; seeds are averaged over."""
    shown = {*study["rows"], *study["columns"], "pretrain_seed"}
    allowed = ", ".join(sorted(shown - {"pretrain_seed"}))
    for factor in study["grid"]:
        several = levels_of(study, factor)
        if len(several) > 1 and factor not in shown and not _told_by(study, factor, shown):
            raise UserError(
                f"{where}: grid.{factor}: {len(several)} levels, but the table has no row or column for them; "
                f"several are allowed of: {allowed}"
            )


def _told_by(study: Mapping[str, Any], factor: str, shown: Set[str]) -> bool:
    """Whether what a table shows of a cell leaves one level of a factor: named grids may go together with it."""
    found: dict[tuple[Any, ...], Any] = {}
    seen = sorted(shown - {"pretrain_seed"})
    for grid, scenario in ((each, scenario) for each in grids(study) for scenario in each["scenario"]):
        there = {**grid, "scenario": [scenario]}
        if not registry.load("scenario", scenario).PRETRAINED:
            there |= {each: [NONE] for each in PRETRAINING if each != "encoder"}
        for cell in itertools.product(*(there[each] for each in seen)):
            for level in there[factor]:
                if found.setdefault(cell, level) != level:
                    return False
    return True


def _task(entry: Mapping[str, Any]) -> str:
    return str(registry.load("dataset", entry["loader"]).TASK)


def _labelled(entry: Mapping[str, Any]) -> bool:
    """Whether a data set can be evaluated on; a folder has labels only when its options say where they are."""
    task = _task(entry)
    return (
        (entry.get("options") or {}).get("labels", "none") != "none" if task == "by options" else task != "unlabelled"
    )


def _known(name: object, allowed: Sequence[str] | Mapping[str, Any], *, where: str, what: str) -> None:
    if name not in allowed:
        raise UserError(f"{where}: unknown {what} {name!r}; allowed: {', '.join(map(str, allowed)) or 'none'}")
