"""Files of the site for other programs: `summary.json` with its schema, and models and results in the form of MTEB."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Manifest, PlannedCell, Study
from workflow_scripts.report import costs, labels, summary
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.site import model_meta, studies
from workflow_scripts.report.site.cell_links import CellLinks, Key
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SiteFile
from workflow_scripts.statistics.data_sources import sources_of
from workflow_scripts.statistics.reproduction.table import read_reproduction
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS

SUMMARY, SCHEMA, RESULTS, MODEL_META = "summary.json", "summary.schema.json", "results", "model_meta.json"
NOTE = (
    f"Rates are from 0 to 1; intervals are {CONFIDENCE} confidence intervals, and cover the variance sources stated. "
    "Numbers with the source twin are of synthetic data and must not be compared with published numbers."
)
#: factors of a model, and of its task
MODEL_FACTORS = tuple(factor for factor in PRETRAINING if factor != "pretrain_seed")
TASK_FACTORS = tuple(factor for factor in METHOD_FACTORS if factor not in MODEL_FACTORS)


def pages(inputs: ReportInputs) -> Iterator[SiteFile]:
    """Yield the files."""
    paths = _result_paths(inputs)
    for key, path in paths.items():
        yield SiteFile(path=path, content=summary.as_json(_result(key, inputs)))
    yield from _models(paths, inputs)
    yield SiteFile(path=SUMMARY, content=summary.as_json(_summarise(inputs, paths)))
    yield SiteFile(path=SCHEMA, content=summary.render_schema().encode())


def _result_paths(inputs: ReportInputs) -> dict[Key, str]:
    """Return the path of the result of each method that has trials."""
    paths: dict[Key, str] = {}
    written: set[str] = set()
    for key, cells in inputs.links.groups.items():
        if any(inputs.trials.of(cell) for cell in cells):
            levels = dict(zip(METHOD_FACTORS, key, strict=True))
            model, task = ([levels[factor] for factor in names] for names in (MODEL_FACTORS, TASK_FACTORS))
            path = f"{RESULTS}/{summary.result_path(model, task)}"
            taken = path in written
            written.add(path)
            paths[key] = f"{RESULTS}/{_id(key, inputs.links)}.json" if taken else path
    return paths


def _models(paths: Mapping[Key, str], inputs: ReportInputs) -> Iterator[SiteFile]:
    """Yield the facts of each model that has results, in their folder."""
    models: dict[tuple[str, ...], list[PlannedCell]] = {}
    for key in paths:
        levels = dict(zip(METHOD_FACTORS, key, strict=True))
        models.setdefault(tuple(levels[factor] for factor in MODEL_FACTORS), []).extend(inputs.links.groups[key])
    sources = sources_of(inputs.manifest)
    for model, cells in models.items():
        meta = model_meta.describe_model(summary.name_of(model), cells, inputs, sources=sources)
        yield SiteFile(path=f"{RESULTS}/{summary.name_of(model)}/{MODEL_META}", content=summary.as_json(meta))


def _id(key: Key, links: CellLinks) -> str:
    """Return the name of a method, which its page has too."""
    return links[key].rpartition("/")[2].removesuffix(".html")


def _result(key: Key, inputs: ReportInputs) -> summary.TaskResult:
    levels = dict(zip(METHOD_FACTORS, key, strict=True))
    cells = [cell for cell in inputs.links.groups[key] if inputs.trials.of(cell)]
    experiments = [
        {"pretrain_seed": cell.factors["pretrain_seed"], **experiment}
        for cell in cells
        for experiment in _experiments(inputs.trials.of(cell) or {})
    ]
    trials = inputs.trials.of(cells[0]) or {}
    metrics = list(dict.fromkeys(trials["metric"]))
    means = {metric: _mean([_mean(_values(inputs, cell, metric)) for cell in cells]) for metric in metrics}
    main = next((study.metric for study in inputs.manifest.studies if study.name in cells[0].studies), metrics[0])
    return summary.TaskResult(
        task_name="__".join(levels[factor] for factor in TASK_FACTORS),
        dataset_revision=trials["data_digest"][0],
        mteb_version=None,
        evaluation_time=math.fsum(experiment["seconds"] for experiment in experiments),
        kg_co2_emissions=None,
        scores={
            "test": [
                summary.TaskScores(
                    hf_subset="default",
                    languages=[],
                    main_score=means.get(main),
                    scores_per_experiment=experiments,
                    **means,
                )
            ]
        },
        prelude={
            "main_metric": main,
            "levels": levels,
            "source": trials["source"][0],
            "test_clips": trials["test_clips"][0],
            "quarantined": trials["quarantined"][0],
            "code": [cell.code for cell in cells],
            "config": [cell.config for cell in cells],
        },
    )


def _experiments(trials: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return each trial with its value in every metric."""
    by_trial: dict[int, dict[str, Any]] = {}
    names = ("trial", "seed", "train_clips", "epochs", "learning_rate", "seconds")
    for place, metric in enumerate(trials["metric"]):
        facts = by_trial.setdefault(trials["trial"][place], {name: trials[name][place] for name in names})
        facts[metric] = trials["value"][place]
    return [by_trial[trial] for trial in sorted(by_trial)]


def _values(inputs: ReportInputs, cell: Any, metric: str) -> list[float]:
    trials = inputs.trials.of(cell) or {}
    return [value for name, value in zip(trials["metric"], trials["value"], strict=True) if name == metric]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _summarise(inputs: ReportInputs, results: Mapping[Key, str]) -> summary.Summary:
    manifest, links, tables = inputs.manifest, inputs.links, inputs.statistics.tables
    entries, comparisons = tables["entries"], tables["comparisons"]
    ids = {key: _id(key, links) for key in links}
    keys = zip(*(entries[factor].astype(str) for factor in METHOD_FACTORS), strict=True)
    days = costs.dates(inputs.records)
    published = read_reproduction(inputs.statistics.folder / STATISTICS_FILES["reproduction"])
    measured = inputs.cells[inputs.cells["data_digest"] != ""].drop_duplicates(["dataset", "data_digest"])
    files = read_record(inputs.statistics.folder / STATISTICS_FILES["summary"])[CHECKSUMS]
    return summary.Summary(
        schema_version=summary.SCHEMA_VERSION,
        scale=manifest.scale,
        note=NOTE,
        prelude={"version": manifest.program.version, "commit": manifest.program.commit},
        configfiles=list(manifest.configfiles),
        unfinished=manifest.unfinished,
        planned_cells=len(manifest.cells),
        missing_cells=inputs.n_missing,
        started=days.split(" to ") if days else [],
        added=list(inputs.origins),
        studies=[_study(study, inputs) for study in manifest.studies],
        methods=[_method(key, ids[key], links, results.get(key, "")) for key in links],
        numbers=[
            summary.NumberSummary(**row)
            for row in summary.select(
                summary.NumberSummary,
                entries,
                method=(ids[key] for key in keys),
                floor=entries["kind"] == "floor",
                rank=entries["rank_mark"],
            )
        ],
        comparisons=[
            summary.ComparisonSummary(**row) for row in summary.select(summary.ComparisonSummary, comparisons)
        ],
        published=[
            summary.PublishedSummary(**row)
            for row in summary.select(summary.PublishedSummary, published[published["study"] != ""])
        ],
        data=[
            summary.DataSummary(**row)
            for row in summary.select(summary.DataSummary, measured, digest=measured["data_digest"])
        ],
        versions={library: text.split(", ") for library, text in costs.versions(inputs.records)},
        code=code_by_scenario(manifest),
        statistics={name: value for name, value in files.items() if name != OWN},
    )


def _study(study: Study, inputs: ReportInputs) -> summary.StudySummary:
    table = inputs.tables[study.name]
    comparisons = inputs.statistics.tables["comparisons"]
    of_study = comparisons[comparisons["study"] == study.name]
    verdicts = Counter(
        verdict or status for verdict, status in zip(of_study["verdict"], of_study["status"], strict=True)
    )
    return summary.StudySummary(
        name=study.name,
        title=study.title,
        question=study.question,
        metric=study.metric,
        page=studies.path(study),
        verdicts=dict(sorted(verdicts.items())),
        failure=table.reason if isinstance(table, Failure) else "",
    )


def _method(key: Key, name: str, links: CellLinks, result: str) -> summary.MethodSummary:
    levels = dict(zip(METHOD_FACTORS, key, strict=True))
    return summary.MethodSummary(
        id=name,
        levels=levels,
        labels={factor: labels.name(level) for factor, level in levels.items()},
        page=links[key],
        result=result,
    )


def code_by_scenario(manifest: Manifest) -> dict[str, list[str]]:
    """Return the digests of the code of the evaluations by scenario; reports of the same code have equal ones."""
    by_scenario: dict[str, set[str]] = {}
    for cell in manifest.cells:
        by_scenario.setdefault(cell.factors["scenario"], set()).add(cell.code)
    return {scenario: sorted(codes) for scenario, codes in sorted(by_scenario.items())}
