"""Contracts of levels: the members that the files of each factor must or may have.

The registry, its tests and the documentation read this one table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

SIMILARITY = 0.85  # of a constant to the member that it may be misspelt from, as HEADS_INPUT from HEAD_INPUT


@dataclass(frozen=True)
class Member:
    """A constant or a function of a level: its signature, and what it states or returns.

    `function` is the form of a constant that depends on options; a level has one of the two. `default` is the value of
    an optional constant that a level does not state.
    """

    signature: str
    meaning: str
    function: str = ""
    default: object = None

    @property
    def forms(self) -> list[str]:
        """Signatures, of which a level has one."""
        return [form for form in (self.signature, self.function) if form]

    @property
    def name(self) -> str:
        """Name in the level's file."""
        return self.signature.partition("(")[0]

    def is_in(self, level: ModuleType) -> bool:
        """Return whether a level has the member."""
        return any(hasattr(level, form.partition("(")[0]) for form in self.forms)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Members of every level of a factor.

    `conditional` maps a constant and the value of it that makes further members required.
    """

    title: str
    folder: str  # one file for each level
    required: tuple[Member, ...]
    optional: tuple[Member, ...] = ()
    conditional: Mapping[tuple[str, object], tuple[Member, ...]] = field(default_factory=dict)

    @property
    def members(self) -> list[Member]:
        """All members, required or not."""
        return [
            *self.required,
            *self.optional,
            *(member for members in self.conditional.values() for member in members),
        ]

    def missing(self, level: ModuleType) -> list[str]:
        """Return the signatures of required members that a level lacks."""
        required = [*self.required]
        for (constant, value), members in self.conditional.items():
            if getattr(level, constant, None) == value:
                required += members
        return [" or ".join(member.forms) for member in required if not member.is_in(level)]

    def misspelt(self, level: ModuleType) -> dict[str, str]:
        """Return the constants of a level that no member is called, but one nearly, with the member's name."""
        constants = [member.name for member in self.members if member.name.isupper()]
        unknown = [name for name in vars(level) if name.isupper() and name[0] != "_" and name not in constants]
        similar = {name: difflib.get_close_matches(name, constants, n=1, cutoff=SIMILARITY) for name in unknown}
        return {name: names[0] for name, names in similar.items() if names}


LABEL = Member("LABEL", "name in tables and figures")
OPTIONS = Member("Options", "subclass of `LevelOptions`; it may have no fields")

CONTRACTS = {
    "dataset": Contract(
        title="a data set",
        folder="datasets",
        required=(
            LABEL,
            OPTIONS,
            Member("BIBTEX", "citation"),
            Member("LICENSE", "licence of audio and labels"),
            Member("TASK", "`multilabel`, `multiclass`, `unlabelled`, or `by options`"),
            Member("REMOTES", "files that can be downloaded, by name; empty if none", function="remotes(options)"),
            Member("SIZE", "`{clips, seconds}` of the published set; None if unknown", function="size(options)"),
            Member("index(root, options)", "returns a `DatasetIndex`"),
        ),
        optional=(
            Member("AUDIO_PUBLIC", "False: `REMOTES` has no audio, so the set cannot be downloaded", default=True),
            Member("COPIES_ALLOWED", "True: the licence lets a page with the audio be passed on", default=False),
            Member("FILE_OPTIONS", "names of the options on which the files depend", default=()),
            Member("STEMS", "names of the stems of every clip", default=()),
            Member(
                "CATALOGUE", "name of a public catalogue, and the pattern of its numbers in clip ids, for the audit"
            ),
            Member("FILE_RATE", "sample rate in Hz of the published files"),
            Member("ALL_CLASSES", "classes of the published set, if fewer are used here"),
            Member("DATA_FILES", "files beside the level that its result depends on"),
        ),
    ),
    "twin": Contract(
        title="its twin",
        folder="twins",
        required=(
            Member(
                "write(root, twin, ...)", "writes a synthetic data set in the real layout; takes the `FILE_OPTIONS`"
            ),
        ),
    ),
    "encoder": Contract(
        title="an encoder",
        folder="encoders",
        required=(
            LABEL,
            OPTIONS,
            Member("TRAINABLE", "whether pre-training can change it"),
            Member("sample_rate(options)", "Hz"),
            Member("hop(options)", "samples between two frames"),
            Member("build(options)", "returns an `Encoder` with initial weights"),
        ),
        optional=(
            Member("MAPS", "True: heads may read its maps", default=False),
            Member("CONVOLUTIONS", "True: it has `convolution_blocks`, whose filters can be drawn", default=False),
            Member("separates(options)", "number of sources that it has masks for"),
            Member("context_size(options)", "channels, the last ones, that summarise the frames so far"),
            Member(
                "EMBEDDING", "length of a clip's embedding, for cost estimates, if no option of that name states it"
            ),
            Member(
                "VARIANT_OPTIONS",
                "names of the options that a checkpoint takes from the encoder's config entry",
                default=(),
            ),
            Member(
                "options_of(shapes)", "options of the network with these tensor shapes, to import published weights"
            ),
            Member("EXTERNAL", "True: its network is the user's, and a checkpoint states where it is", default=False),
            Member("content(options)", "files of an external network, which identify it"),
            Member("official_weights(state)", "published weights under the names of the encoder's state dict"),
        ),
    ),
    "worker": Contract(
        title="a worker",
        folder="workers",
        required=(
            LABEL,
            OPTIONS,
            Member("PRECOMPUTED", "whether `extract` stores its targets"),
            Member("build(options, embedding_size=...)", "returns a `Worker`"),
        ),
        conditional={
            ("PRECOMPUTED", True): (
                Member("CHANNELS", "channels of the stored targets"),
                Member("extract(audio, options)", "targets (channels, frames) of one clip"),
            )
        },
        optional=(
            Member("FRAME_EVERY", "samples between two of its targets; the encoder's frames must be as far apart"),
            Member("VIEWS", "chunks of each clip in a batch", default=1),
            Member("mix(options)", "how stems are mixed, if it separates sources"),
            Member("require_chunk(options, frames=...)", "raises `UserError` for chunks that are too short"),
        ),
    ),
    "weighting": Contract(
        title="a weighting",
        folder="weightings",
        required=(
            LABEL,
            OPTIONS,
            Member("WEIGHTS_SOURCE", "weighting of the run whose losses give the weights; None if all are 1"),
            Member("weigh(losses, weights)", "returns the loss that is minimised"),
        ),
        optional=(
            Member(
                "weights(losses)", "weight of each worker from its validation losses, if `WEIGHTS_SOURCE` is not None"
            ),
        ),
    ),
    "augmentation": Contract(
        title="an augmentation",
        folder="augmentations",
        required=(LABEL, OPTIONS, Member("build(options, sample_rate=...)", "returns an `Augmentation`")),
        optional=(
            Member("Options.one_sided", "True: only the first of two views is changed"),
            Member("Options.require_rate(sample_rate)", "raises `UserError` for sample rates it cannot serve"),
        ),
    ),
    "head": Contract(
        title="a head",
        folder="heads",
        required=(
            LABEL,
            OPTIONS,
            Member("READS", "`embedding` or `maps`"),
            Member(
                "build(options, ...)",
                "returns a `Head` (`inputs` to `outputs`) or a `MapsHead` (`sources` and `decoder` to `outputs`)",
            ),
        ),
        conditional={("READS", "maps"): (Member("window(options)", "samples of the audio it reads at once"),)},
        optional=(
            Member("INITIAL_WEIGHTS", "names of the options that choose its initial weights", default=()),
            Member("weights_digest(options)", "digest of the published weights it starts from; None if it draws all"),
        ),
    ),
    "scenario": Contract(
        title="a scenario",
        folder="scenarios",
        required=(
            LABEL,
            Member("PRETRAINED", "whether it starts from a pre-trained encoder"),
            Member("TRAINS_ENCODER", "whether the encoder learns"),
            Member("run(task)", "returns one `TrialResult` per trial of an `EvaluationTask`"),
        ),
        optional=(
            Member("HEAD_INPUT", "what its heads must read, `embedding` or `maps`, if not any"),
            Member("TRAININGS", "trainings of a trial, one after the other", default=1),
        ),
    ),
    "figure": Contract(
        title="a kind of figure",
        folder="figures",
        required=(
            OPTIONS,
            Member("READING", "how to read it, in one or two sentences"),
            Member(
                "numbers(study, evidence, options)", "returns the table behind the figure; see `figure_inputs.as_table`"
            ),
            Member("draw(study, numbers, options)", "returns a matplotlib figure"),
            Member("describe(study, numbers)", "returns the figure in words"),
        ),
        optional=(
            Member("READS", "stages of the jobs whose files it reads besides the statistics", default=()),
            Member("reads_heads(options)", "whether it reads the heads that frozen cells keep"),
        ),
    ),
}


#: value of each optional constant that a level does not state
DEFAULTS = {
    member.name: member.default
    for contract in CONTRACTS.values()
    for member in contract.optional
    if member.name.isupper()
}


def as_markdown() -> str:
    """Return the names of all members as a Markdown table: one row per factor."""
    lines = ["| to add | file | required | optional |", "|---|---|---|---|"]
    for contract in CONTRACTS.values():
        required = _signatures(contract.required)
        for (constant, value), members in contract.conditional.items():
            required.append(f"{' and '.join(_signatures(members))} if `{constant} = {value!r}`".replace("'", '"'))
        file = f"`{contract.folder}/<name>.py`"
        cells = [contract.title, file, ", ".join(required), ", ".join(_signatures(contract.optional)) or "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _signatures(members: Iterable[Member]) -> list[str]:
    """Return the forms of each member, as Markdown."""
    return [" or ".join(f"`{form}`" for form in member.forms) for member in members]
