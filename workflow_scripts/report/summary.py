"""Summary of a run for other programs: `summary.json`, and results of each model as files that resemble those of MTEB.

    python -m workflow_scripts.report.summary

writes the schema of `summary.json` to docs/summary.schema.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.report.number_format import CONFIDENCE

SCHEMA_VERSION = 1  # of summary.json; rises when a key is removed or changes its meaning
PAGE = PACKAGE.parent / "docs" / "summary.schema.json"
COMMAND = "python -m workflow_scripts.report.summary"
MAX_NAME = 200  # bytes of a file's name; file systems allow 255, and the ending needs some


def _empty_as_none(value: object) -> object:
    """Return None for a missing number of a table."""
    return None if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)) else value


Number = Annotated[float | None, BeforeValidator(_empty_as_none)]
Count = Annotated[int | None, BeforeValidator(_empty_as_none)]


class _Part(BaseModel):
    """A part of the summary; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudySummary(_Part):
    """A study: its question, the metric of its figure, and how many of its comparisons have which verdict."""

    name: str
    title: str
    question: str
    metric: str
    page: str = Field(description="page of the study, below the folder of the report")
    verdicts: dict[str, int] = Field(description="number of comparisons by verdict, or by status without one")
    failure: str = Field(description="why its statistics, table or figure could not be produced; empty if they were")


class MethodSummary(_Part):
    """A method on a data set: a level of every factor but the pre-training seed."""

    id: str = Field(description="name by which numbers refer to the method")
    levels: dict[str, str] = Field(description="level of each factor, as configs name it")
    labels: dict[str, str] = Field(description="the same levels as tables print them")
    page: str = Field(description="page with its trials, below the folder of the report")
    result: str = Field(description="file with its results like MTEB's; empty if nothing was measured")


class NumberSummary(_Part):
    """A number of a study's table; rates are from 0 to 1."""

    study: str
    method: str = Field(description="id of the method")
    metric: str
    floor: bool
    status: str = Field(description="measured or missing")
    reason: str = Field(description="why it, or a part of it, is missing")
    caveat: str
    mean: Number
    ci_low: Number = Field(description=f"lower end of the {CONFIDENCE} confidence interval")
    ci_high: Number = Field(description=f"upper end of the {CONFIDENCE} confidence interval")
    variance_sources: str = Field(description="what the interval covers")
    std_error: Number
    n_trials: Count
    n_pretraining_seeds: Count
    rank: str = Field(description="best of its column, tied with the best, or empty")
    test_clips: Count
    quarantined: Count
    source: str = Field(description="twin, local or download; numbers of twins are not comparable with published ones")
    data_digest: str
    tested_on_training_data: str = Field(description="whether others trained the encoder on the data set; may be empty")


class ComparisonSummary(_Part):
    """A difference that a study declares, treatment minus reference; rates are from 0 to 1."""

    study: str
    comparison: str
    metric: str
    dataset: str
    head: str
    fraction: str
    protocol: str
    treatment: str = Field(description="levels of the treatment, as factor=level")
    reference: str
    status: str
    reason: str
    caveat: str
    design: str
    mean: Number
    ci_low: Number = Field(description=f"lower end of the {CONFIDENCE} confidence interval, not adjusted")
    ci_high: Number
    p: Number
    p_holm: Number = Field(description="adjusted by Holm's method over the tests of the study")
    verdict: str = Field(description="better, worse or no difference shown, by p_holm")
    fixed_test_set_verdict: str = Field(description="verdict for these test clips alone")
    n: Count = Field(description="number of replicates")
    replicate: str
    source: str


class PublishedSummary(_Part):
    """A published number or claim held against ours."""

    id: str
    system: str
    verdict: str
    reason: str
    value: Number
    ci_low: Number
    ci_high: Number
    source: str


class DataSummary(_Part):
    """A measured data set."""

    dataset: str
    digest: str = Field(description="digest of its content, whatever the sample rate")
    source: str
    test_clips: Count
    quarantined: Count


class Summary(_Part):
    """Summary of a run: its plan, its versions and its results."""

    schema_version: int = Field(
        description="version of this schema; rises when a key is removed or changes its meaning"
    )
    scale: str
    note: str = Field(description="how to read the numbers")
    prelude: dict[str, str] = Field(description="version and commit of Prelude; empty text where not known")
    configfiles: list[str] = Field(description="files over the default config")
    unfinished: bool = Field(description="whether the workflow failed, and this is what it had finished")
    planned_cells: int
    missing_cells: int
    started: list[str] = Field(description="first and last day on which jobs started, UTC; empty if not known")
    added: list[str] = Field(description="results of other machines that were added")
    studies: list[StudySummary]
    methods: list[MethodSummary]
    numbers: list[NumberSummary]
    comparisons: list[ComparisonSummary]
    published: list[PublishedSummary]
    data: list[DataSummary]
    versions: dict[str, list[str]] = Field(description="versions of libraries that jobs used")
    code: dict[str, list[str]] = Field(description="digests of the code of evaluations, by scenario")
    statistics: dict[str, str] = Field(description="SHA-256 of the files of the statistics")


class TaskScores(BaseModel):
    """Scores on one split in the form of MTEB; further keys are metrics."""

    model_config = ConfigDict(extra="allow")

    hf_subset: str
    languages: list[str]
    main_score: Number
    scores_per_experiment: list[dict[str, Any]]


class TaskResult(BaseModel):
    """Result of a model on a task: the keys of MTEB's files, and `prelude` with what MTEB has no key for."""

    task_name: str
    dataset_revision: str
    mteb_version: None
    evaluation_time: Number
    kg_co2_emissions: None
    scores: dict[str, list[TaskScores]]
    prelude: dict[str, Any]


class ModelMeta(BaseModel):
    """Facts of a model with the keys of MTEB's `model_meta.json`, which refuses others; null: not known.

    `experiment_kwargs` is MTEB's key for what has none of its own.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())  # `model_type` is MTEB's name

    name: str
    revision: str | None
    release_date: None = None
    languages: None = None
    loader: None = None
    n_parameters: int | None
    memory_usage_mb: float | None
    max_tokens: None = None
    embed_dim: int | None
    license: str | None = None  # nobody states one of weights that are trained here
    open_weights: bool | None = None
    public_training_code: str | None = None
    public_training_data: None = None
    framework: list[str] = ["PyTorch"]
    reference: None = None
    similarity_fn_name: None = None
    use_instructions: bool = False
    training_datasets: list[str] | None
    adapted_from: str | None
    superseded_by: None = None
    modalities: list[str] = ["audio"]
    model_type: list[str] = ["dense"]
    experiment_kwargs: dict[str, Any]


def as_json(model: BaseModel) -> bytes:
    """Return a model as the content of a JSON file, without numbers that JSON lacks."""
    return (json.dumps(_finite(model.model_dump(mode="json")), indent=1, ensure_ascii=True) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return _empty_as_none(value)


def select(model: type[BaseModel], rows: pd.DataFrame, **more: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Yield for each row the values of the model's fields: of the columns with their names, or as given in `more`."""
    columns = {name: [*values] for name, values in more.items()}
    names = [name for name in model.model_fields if name not in columns]
    columns |= {name: rows[name].tolist() for name in names}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def result_path(model: Sequence[str], task: Sequence[str]) -> str:
    """Return the path of a result below its folder, from the levels of the model and of the task."""
    return f"{name_of(model)}/{name_of(task)}.json"


def name_of(levels: Sequence[str]) -> str:
    """Return a file name of levels, which are segments of paths; a digest ends one that would be too long."""
    name = "__".join(level for level in levels if level != "none") or "none"
    return (
        name if len(name.encode()) <= MAX_NAME else f"{name.encode()[:MAX_NAME].decode(errors='ignore')}-{digest(name)}"
    )


def render_schema() -> str:
    """Return the JSON schema of `summary.json`."""
    return json.dumps(Summary.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    write_text(PAGE, render_schema())
