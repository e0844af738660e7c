"""Model card of an exported encoder: README.md with the head that model hubs read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from workflow_scripts.core.escapes import markdown, markdown_cell
from workflow_scripts.report import number_format
from workflow_scripts.report.labels import TWIN
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL
from workflow_scripts.statistics.tables.schema import MEASURED

OTHER = "other"  # the licence of hubs for what none of their names fits
FACTS = {
    "sample_rate": "sample rate in Hz",
    "hop": "samples between two frames",
    "crop_length": "samples of the crops by which a clip is evaluated (none: as a whole)",
    "embedding_size": "size of a clip's embedding",
    "frame_size": "channels of a frame",
    "parameters": "parameters",
}


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A data set that an encoder learned from: a corpus, or one with labels.

    `source` is twin, local or download; empty if it is not known.
    """

    name: str
    has_labels: bool
    source: str
    license: str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Content of a model card.

    `facts` are those of `config.json`, `cells` the rows of the table of cells that belong to the encoder, `data` the
    data sets that it learned from, and `published` the file or name of the checkpoint that it was imported from, empty
    without. It is not trained if it has neither.
    """

    label: str
    license: str
    facts: Mapping[str, Any]
    data: Sequence[TrainingSet]
    published: str
    cells: pd.DataFrame

    @property
    def title(self) -> str:
        """Label of the encoder and what it learned from."""
        origins = [*([self.published] if self.published else []), *(data.name for data in self.data)]
        return f"{self.label}, {' and '.join(origins) or 'not trained'}"

    def render(self) -> str:
        """Return the text of README.md."""
        head = yaml.safe_dump(self._head(), sort_keys=False, allow_unicode=True, width=120)
        parts = [self._facts(), self._data(), self._results(), self._use(), self._limits(), self._license()]
        return f"---\n{head}---\n\n# {markdown(self.title)}\n\n" + "\n\n".join(parts) + "\n"

    def _head(self) -> dict[str, Any]:
        head: dict[str, Any] = {"license": self.license}
        if self.license == OTHER:
            head |= {"license_name": "not-stated", "license_link": "LICENSE"}
        head |= {
            "library_name": "prelude",
            "pipeline_tag": "feature-extraction",
            "tags": ["audio", "music", "music-information-retrieval", self.facts["encoder"]],
        }
        if self.data:
            head["datasets"] = [data.name for data in self.data]
        # hubs rank these numbers, without marks
        results = [_result(row) for row in self._measured() if not _is_on_training_data(row)]
        if results:
            head["model-index"] = [{"name": self.title, "results": results}]
        return head

    def _measured(self) -> Iterator[Any]:
        for row in self.cells.itertuples(index=False):
            if row.status == MEASURED and row.metric in number_format.RATES:  # others count what was left out
                yield row

    def _facts(self) -> str:
        encoder, benchmark = self.facts["encoder"], "Prelude, a benchmark of pre-training for music classification"
        facts = [f"- {meaning}: {_plain(self.facts[fact])}" for fact, meaning in FACTS.items()]
        options = ", ".join(f"{name}: {value}" for name, value in self.facts["options"].items())
        head = f"An encoder of audio, `{encoder}` of {benchmark}."
        return "\n".join([head, "", *facts, f"- options: {markdown(options) or 'none'}"])

    def _data(self) -> str:
        steps = [_training(data) for data in self.data]
        if self.published:
            stated = [names for names in self.cells.get("trained_on", []) if names][:1]
            trained_on = f", trained on {markdown(stated[0])}" if stated else ""
            steps.insert(
                0,
                f"Weights of others, imported from `{self.published}`{trained_on}: see its publication for the data.",
            )
        return "\n\n".join(["## Data", *(steps or ["None: the encoder was not trained."])])

    def _results(self) -> str:
        rows = [_table_row(row) for row in self._measured()]
        if not rows:
            return "## Results\n\nNone: the tables of results have no number of this encoder."
        heading = ["data set", "head", "scenario", "labels", "protocol", "metric", "mean", "interval", "trials", "data"]
        lines = [heading, ["---"] * len(heading), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        of_a_trial = any(data.has_labels for data in self.data)
        explanation = (
            f"Means over trials with their {number_format.CONFIDENCE} intervals. An interval covers what its table of "
            "Prelude states (trials, pre-training seeds, test clips); "
        ) + (
            "these weights are those of the first trial."
            if of_a_trial
            else "a scenario that trains the encoder changed these weights before the test."
        )
        if any(map(_is_on_training_data, self._measured())):
            table += (
                f"\n\n{ON_TRAINING_DATA} The encoder was trained on this data set by others, so the number does not "
                "show how well it does on new data."
            )
        return f"## Results\n\n{explanation}\n\n{table}"

    def _use(self) -> str:
        package = self.facts.get("module")
        lines = ["## Use", "", "With Prelude:", "", "```python", *self._with_prelude(), "```"]
        if package:
            requires = ", ".join(sorted({*self.facts["requires"], "safetensors"}))
            lines += [
                "",
                f"Without Prelude, by the interface of HEAR, with this folder on the path; it needs {requires}:",
                "",
                "```python",
                f"import {package}",
                "",
                f"model = {package}.load_model()",
                f"embeddings = {package}.get_scene_embeddings(audio, model)"
                f"  # (sounds, samples) at {self.facts['hear_sample_rate']} Hz in [-1, 1]",
                f"frames, milliseconds = {package}.get_timestamp_embeddings(audio, model)",
                "```",
            ]
        if onnx := self.facts.get("onnx"):
            lines += [
                "",
                f"`{onnx['file']}` maps `audio` (batch, {onnx['samples']}) at {self.facts['sample_rate']} Hz to "
                f"`embeddings`; they differ from torch's by {onnx['difference']:.0e} of the largest value.",
            ]
        return "\n".join(lines)

    def _with_prelude(self) -> Sequence[str]:
        return (
            "from safetensors.torch import load_file",
            "from workflow_scripts.levels import registry",
            "",
            f'level = registry.load("encoder", "{self.facts["encoder"]}")',
            f"encoder = level.build(registry.options(level, {dict(self.facts['options'])!r})).eval()",
            'encoder.load_state_dict(load_file("model.safetensors"))',
            "embeddings = encoder.pool(encoder(audio))"
            f"  # (batch, samples) at {self.facts['sample_rate']} Hz in [-1, 1]",
        )

    def _limits(self) -> str:
        limits = [
            "The numbers above hold for the data sets, heads and protocols that they name; for others, test again.",
            "Audio of another sample rate must be resampled first.",
            "Styles, instruments and recording conditions that the data lacks may not be told apart.",
        ]
        if not self.data and not self.published:
            limits.insert(0, "Nothing was learned: it is a baseline to compare trained encoders with.")
        return "\n".join(["## Limits", "", *(f"- {limit}" for limit in limits)])

    def _license(self) -> str:
        text = "## Licence\n\nThe code is under the MIT licence of Prelude (`LICENSE`). "
        if self.license == OTHER:
            return text + (
                "No licence of the weights is stated; whoever passes them on decides on it, with regard to the data."
            )
        return text + f"The weights: {markdown(self.license)}."


def _training(data: TrainingSet) -> str:
    """Return what the encoder learned from a data set."""
    labels = " with its labels" if data.has_labels else ""
    text = f"Trained on `{data.name}`{labels} (licence of the data: {markdown(data.license)})."
    if data.source == TWIN:
        text += (
            " **That was a twin: synthetic audio in the layout of the data set, no recordings. The numbers say nothing"
            " about music.**"
        )
    return text


def _result(row: Any) -> dict[str, Any]:
    """Return a result as hubs read it."""
    metric: dict[str, Any] = {"type": row.metric, "value": round(float(row.mean), 6), "name": _measure_name(row)}
    if math.isfinite(row.ci_low):
        interval = [round(float(row.ci_low), 6), round(float(row.ci_high), 6)]
        metric["args"] = {"confidence_interval": interval, "confidence_level": CONFIDENCE_LEVEL}
    name = f"{row.dataset} ({row.source})"
    return {
        "task": {"type": "audio-classification"},
        "dataset": {"type": row.dataset, "name": name, "split": "test"},
        "metrics": [metric],
    }


def _is_on_training_data(row: Any) -> bool:
    """Return whether a row of the table of cells is on data that others trained the encoder on."""
    return bool(row.tested_on_training_data == "yes")


def _measure_name(row: Any) -> str:
    measure = number_format.measure(row.metric)
    return f"{measure.name} ({row.scenario}, {row.head}, {row.fraction} of labels, {row.protocol})"


def _table_row(row: Any) -> list[str]:
    measure = number_format.measure(row.metric)
    mean = number_format.number(row.mean * measure.scale, measure.decimals)
    if _is_on_training_data(row):
        mean = f"{mean} {ON_TRAINING_DATA}"
    interval = number_format.interval(row.ci_low, row.ci_high, measure) or "none"
    texts = [row.dataset, row.head, row.scenario, row.fraction, row.protocol, measure.heading, mean, interval]
    return [markdown_cell(str(text)) for text in (*texts, f"{row.n_trials:g}", row.source)]


def _plain(value: object) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
