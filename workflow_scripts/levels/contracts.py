"""Contracts of levels: the members that the files of each factor must or may have.

The registry, its tests and the documentation read this one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Members of every level of a factor: signature -> description.

    `A or b(options)` is a member with two forms, of which a level has one. `conditional` maps a constant and the value
    of it that makes further members required.
    """

    title: str
    folder: str  # one file for each level
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    conditional: Mapping[tuple[str, object], Mapping[str, str]] = field(default_factory=dict)

    def missing(self, level: ModuleType) -> list[str]:
        """Return the signatures of required members that a level lacks."""
        required = dict(self.required)
        for (constant, value), members in self.conditional.items():
            if getattr(level, constant, None) == value:
                required |= members
        return [signature for signature in required if not _has(level, signature)]


def _has(level: ModuleType, signature: str) -> bool:
    return any(hasattr(level, form.partition("(")[0]) for form in signature.split(" or "))


LABEL = {"LABEL": "name in tables and figures"}
OPTIONS = {"Options": "subclass of `LevelOptions`; it may have no fields"}

CONTRACTS = {
    "dataset": Contract(
        title="a data set",
        folder="datasets",
        required={
            **LABEL,
            **OPTIONS,
            "BIBTEX": "citation",
            "LICENSE": "licence of audio and labels",
            "TASK": "`multilabel`, `multiclass`, `unlabelled`, or `by options`",
            "REMOTES or remotes(options)": "files that can be downloaded, by name; empty if none",
            "SIZE or size(options)": "`{clips, seconds}` of the published set; None if unknown",
            "index(root, options)": "returns a `DatasetIndex`",
        },
        optional={
            "AUDIO_PUBLIC": "False: `REMOTES` has no audio, so the set cannot be downloaded",
            "FILE_OPTIONS": "names of the options on which the files depend",
            "STEMS": "names of the stems of every clip",
            "CATALOGUE": "name of a public catalogue, and the pattern of its numbers in clip ids, for the audit",
            "FILE_RATE": "sample rate in Hz of the published files",
            "ALL_CLASSES": "classes of the published set, if fewer are used here",
            "DATA_FILES": "files beside the level that its result depends on",
        },
    ),
    "twin": Contract(
        title="its twin",
        folder="twins",
        required={"write(root, twin, ...)": "writes a synthetic data set in the real layout; takes the `FILE_OPTIONS`"},
    ),
    "encoder": Contract(
        title="an encoder",
        folder="encoders",
        required={
            **LABEL,
            **OPTIONS,
            "TRAINABLE": "whether pre-training can change it",
            "sample_rate(options)": "Hz",
            "hop(options)": "samples between two frames",
            "build(options)": "returns an `Encoder` with initial weights",
        },
        optional={
            "MAPS": "True: heads may read its maps",
            "separates(options)": "number of sources that it has masks for",
            "context_size(options)": "channels, the last ones, that summarise the frames so far",
            "EMBEDDING": "length of a clip's embedding, for cost estimates, if no option of that name states it",
            "VARIANT_OPTIONS": "names of the options that a checkpoint takes from the encoder's config entry",
            "options_of(shapes)": "options of the network with these tensor shapes, to import published weights",
            "official_weights(state)": "published weights under the names of the encoder's state dict",
        },
    ),
    "worker": Contract(
        title="a worker",
        folder="workers",
        required={
            **LABEL,
            **OPTIONS,
            "PRECOMPUTED": "whether `extract` stores its targets",
            "build(options, embedding_size=...)": "returns a `Worker`",
        },
        conditional={
            ("PRECOMPUTED", True): {
                "CHANNELS": "channels of the stored targets",
                "extract(audio, options)": "targets (channels, frames) of one clip",
            }
        },
        optional={
            "FRAME_EVERY": "samples between two of its targets; the encoder's frames must be as far apart",
            "VIEWS": "chunks of each clip in a batch; 1 by default",
            "mix(options)": "how stems are mixed, if it separates sources",
            "require_chunk(options, frames=...)": "raises `UserError` for chunks that are too short",
        },
    ),
    "weighting": Contract(
        title="a weighting",
        folder="weightings",
        required={
            **LABEL,
            **OPTIONS,
            "WEIGHED_BY": "weighting of the run whose losses give the weights; None if all are 1",
            "weigh(losses, weights)": "returns the loss that is minimised",
        },
        optional={"weights(losses)": "weight of each worker from its validation losses, if `WEIGHED_BY` is not None"},
    ),
    "augmentation": Contract(
        title="an augmentation",
        folder="augmentations",
        required={**LABEL, **OPTIONS, "build(options, sample_rate=...)": "returns an `Augmentation`"},
        optional={
            "Options.one_sided": "True: only the first of two views is changed",
            "Options.require_rate(sample_rate)": "raises `UserError` for sample rates it cannot serve",
        },
    ),
    "head": Contract(
        title="a head",
        folder="heads",
        required={
            **LABEL,
            **OPTIONS,
            "READS": "`embedding` or `maps`",
            "build(options, ...)": "returns a `Head` from `inputs` to `outputs`, or a `MapsHead` from `sources` and "
            "`decoder` to `outputs`",
        },
        conditional={("READS", "maps"): {"window(options)": "samples of the audio it reads at once"}},
        optional={
            "INITIAL_WEIGHTS": "names of the options that choose its initial weights",
            "weights_digest(options)": "digest of the published weights it starts from; None if it draws all",
        },
    ),
    "scenario": Contract(
        title="a scenario",
        folder="scenarios",
        required={
            **LABEL,
            "PRETRAINED": "whether it starts from a pre-trained encoder",
            "TRAINS_ENCODER": "whether the encoder learns",
            "run(task)": "returns one `TrialResult` per trial of an `EvaluationTask`",
        },
        optional={
            "HEADS_READ": "what its heads must read, `embedding` or `maps`, if not any",
            "TRAININGS": "trainings of a trial, one after the other; 1 by default",
        },
    ),
    "figure": Contract(
        title="a kind of figure",
        folder="figures",
        required={
            **OPTIONS,
            "READING": "how to read it, in one or two sentences",
            "numbers(study, evidence, options)": "returns the table behind the figure; see `figure_inputs.as_table`",
            "draw(study, numbers, options)": "returns a matplotlib figure",
            "describe(study, numbers)": "returns the figure in words",
        },
        optional={"READS": "stages of the jobs whose files it reads besides the statistics"},
    ),
}


def as_markdown() -> str:
    """Return the names of all members as a Markdown table: one row per factor."""
    lines = ["| to add | file | required | optional |", "|---|---|---|---|"]
    for contract in CONTRACTS.values():
        required = [*_format_members(contract.required)]
        for (constant, value), members in contract.conditional.items():
            required.append(f"{' and '.join(_format_members(members))} if `{constant} = {value!r}`".replace("'", '"'))
        file = f"`{contract.folder}/<name>.py`"
        cells = [contract.title, file, ", ".join(required), ", ".join(_format_members(contract.optional)) or "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _format_members(members: Mapping[str, str]) -> list[str]:
    """Return the signature of each member, as Markdown."""
    return [" or ".join(f"`{form}`" for form in signature.split(" or ")) for signature in members]
