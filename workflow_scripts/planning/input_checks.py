"""Checks of what a plan starts from, before any job runs: folders, labels, splits, checkpoints, sizes of batches.

Local copies are indexed as `prepare` does it, without decoding: folders of recordings always, published sets until they
are prepared; of very large ones only the folder is looked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.configuration.origin import ConfigOrigin
from workflow_scripts.core import files
from workflow_scripts.core.errors import NOTE, UserError
from workflow_scripts.core.validation import find_similar
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.levels.dataset_index import DatasetIndex, describe_lack_of_classes
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import Run
from workflow_scripts.planning.work import dataset_size

#: clips of a published set beyond which its copy is not indexed while planning, which would take minutes
MAX_CLIPS = 50_000
BYTES_OF_FLOAT = 4
# Networks of a tenth of the published widths keep 18 to 117 numbers of every sample of audio for the backward pass, the
# published ones 175 to 641 (measured): a batch that takes more memory with 16 fits with none of them.
NUMBERS_PER_SAMPLE = 16
GIGABYTE = 1e9


@dataclass(frozen=True)
class Findings:
    """Mistakes that would end a job, and notes that a user should know, one line each; and faults of published sets.

    `oversized` lists batches that do not fit into the memory of this machine. `absent` maps published sets to the
    folders that should hold their copies, `faulty` to what is wrong with these: other jobs can run all the same.
    """

    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    oversized: list[str] = field(default_factory=list)
    absent: dict[str, Path] = field(default_factory=dict)
    faulty: dict[str, str] = field(default_factory=dict)

    def lines(self, *, has_cluster: bool = False) -> list[str]:
        """Return all of them, each once; those that stop nothing as notes.

        A cluster may have the memory that a batch needs. Copies may be absent or faulty, as long as no job needs them.
        """
        copies = self.describe_copies([*self.absent, *self.faulty])
        notes = [*(self.oversized if has_cluster else []), *self.notes, *copies]
        stops = [*self.mistakes, *([] if has_cluster else self.oversized)]
        return list(dict.fromkeys([*stops, *(f"{NOTE}{note}" for note in notes)]))

    def describe_copies(self, names: Iterable[str]) -> list[str]:
        """Return a line on those of the data sets whose copies are not there, and one on each that cannot be used."""
        names = list(dict.fromkeys(names))
        folders = [f"{self.absent[name]} ({name})" for name in names if name in self.absent]
        remedy = "put your copies there, correct datasets.<name>.path, or leave out the studies that need them"
        absent = [f"no copy of a data set in {', '.join(folders)}: {remedy}"] if folders else []
        return absent + [self.faulty[name] for name in names if name in self.faulty]


def check_inputs(plan: Plan, origin: ConfigOrigin, *, memory: int | None) -> Findings:
    """Check what the jobs of a plan start from; `memory`: bytes of this machine, None if not known."""
    findings = Findings(mistakes=list(_unusable_folders(plan, origin)))
    indexes = _check_datasets(plan, origin, findings)
    findings.mistakes.extend(_absent_checkpoints(plan, origin))
    for run in {(run.corpus, run.encoder, run.workers, run.recipe): run for run in plan.pretrained_runs}.values():
        _check_pretraining(plan, run, origin, indexes, memory=memory, findings=findings)
    findings.oversized.extend(_oversized_evaluations(plan, origin, indexes, memory=memory))
    return findings


def _unusable_folders(plan: Plan, origin: ConfigOrigin) -> Iterator[str]:
    """Yield why the folders of data and results cannot be made, if they are not there yet."""
    for key, folder in (("data", plan.layout.data), ("results", plan.layout.results)):
        path = Path(folder).absolute()
        nearest = next(above for above in (path, *path.parents) if os.path.lexists(above))
        if not nearest.is_dir():
            yield f"{origin.at(key)}: {nearest} is no folder: choose another place"
        elif nearest != path and not os.access(nearest, os.W_OK):
            yield f"{origin.at(key)}: no permission to write in {nearest}: choose another place"


def _check_datasets(plan: Plan, origin: ConfigOrigin, findings: Findings) -> dict[str, DatasetIndex]:
    """Check the local data sets; return the indexes of those that planning can index."""
    indexes = {}
    for name in dict(plan.corpora):
        if plan.config.datasets[name].source != "local":
            continue
        try:
            index = _index(plan, name, origin)
        except _AbsentCopyError as error:
            findings.absent[name] = error.folder
        except (UserError, OSError) as error:
            _add_fault(findings, plan, name, f"{origin.at('datasets', name)}: {error}")
        else:
            if index is not None:
                indexes[name] = index
                findings.notes.extend(f"{origin.at('datasets', name)}: {note}" for note in index.notes)
                for lack in _lacks(plan, name, index):
                    _add_fault(findings, plan, name, f"{origin.at('datasets', name)}: {lack}")
    return indexes


def _add_fault(findings: Findings, plan: Plan, name: str, line: str) -> None:
    """Add what is wrong with a local data set; a published one may be of no use to the jobs that run."""
    if _is_published(plan, name):
        findings.faulty.setdefault(name, line)
    else:
        findings.mistakes.append(line)


def _is_published(plan: Plan, name: str) -> bool:
    level = plan.config.level("dataset", name)
    return dataset_facts.size(level.module, level.options) is not None


class _AbsentCopyError(Exception):
    """Raised where there is no copy of a published data set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


def _index(plan: Plan, name: str, origin: ConfigOrigin) -> DatasetIndex | None:
    """Return the index of a local data set.

    None for a published one that is prepared or very large, and for one that was acquired and is gone.

    Raises `UserError` where `prepare` would, and `_AbsentCopyError`.
    """
    path = files.expand_home(str(plan.config.datasets[name].path))
    level = plan.config.level("dataset", name)
    size = dataset_facts.size(level.module, level.options)
    if not path.is_dir() or not any(path.iterdir()):
        if Path(plan.layout.acquisition_record(name)).is_file():
            return None
        if size is not None:
            raise _AbsentCopyError(path)
        remedy = _describe_choice(plan, name) if origin.is_shipped("datasets", name, "path") else ""
        raise UserError(f"path: {_describe_absence(path, 'folder')}{remedy}")
    facts = [plan.layout.corpus(*corpus) for corpus in plan.corpora if corpus[0] == name]
    is_prepared = all(Path(file).is_file() for file in facts)
    if size is not None and (is_prepared or size["clips"] > MAX_CLIPS):
        return None
    return level.module.index(path, level.options)


def _describe_choice(plan: Plan, name: str) -> str:
    """State, as the end of a message, what a config says instead of a shipped one about the folder of a data set."""
    uses = {("corpus", study) for (run, _), users in plan.cells.items() if run.corpus == name for study in users}
    uses |= {("dataset", study) for (_, cell), users in plan.cells.items() if cell.dataset == name for study in users}
    keys = " and ".join(f"trim.{study}.{factor}" for factor, study in sorted(uses))
    return f"; state your folder in datasets.{name}.path of your config, or choose another with {keys}"


def _describe_absence(path: Path, kind: str) -> str:
    """State why a path is no file or folder with content, and what it may be misspelt from."""
    if path.is_dir():
        return f"{path} is an empty folder" if kind == "folder" else f"{path} is a folder: name the file in it"
    if path.exists():
        return f"{path} is a file: give the folder that holds the audio; unpack an archive"
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    similar = find_similar(path.name, beside)
    return f"{path}: no such {kind}" + (f" (did you mean {path.with_name(similar)}?)" if similar else "")


def _lacks(plan: Plan, name: str, index: DatasetIndex) -> Iterator[str]:
    """Yield what a data set lacks for its use: a split, or classes."""
    needed, stated = plan.needed_splits.get(name, []), set(index.clips["split"])
    is_evaluated = any(cell.dataset == name for _, cell in plan.cells)
    if lacking := [split for split in needed if split not in stated]:
        remedy = "correct the splits, or state none and let Prelude draw them from more clips"
        yield (
            f"no clips in {' and '.join(lacking)}: {'evaluation' if is_evaluated else 'pre-training'} needs "
            f"{', '.join(needed)}; {'complete the copy' if _is_published(plan, name) else remedy}"
        )
    classes = [str(name) for name in index.labels.columns]
    if is_evaluated and (lack := describe_lack_of_classes(index.task, classes, index.labels.to_numpy())):
        yield lack


def _absent_checkpoints(plan: Plan, origin: ConfigOrigin) -> Iterator[str]:
    for run in {run.corpus: run for run in plan.imported_runs}.values():
        stated = plan.config.checkpoints[run.corpus].path
        try:
            external = plan.levels.external_files(run)
        except UserError as error:
            yield str(error)
            continue
        for path in external if external is not None else [Path(stated)] if stated else []:
            if not path.is_file():
                yield f"{origin.at('checkpoints', run.corpus, 'path')}: {_describe_absence(path, 'file')}"


def _check_pretraining(
    plan: Plan,
    run: Run,
    origin: ConfigOrigin,
    indexes: Mapping[str, DatasetIndex],
    *,
    memory: int | None,
    findings: Findings,
) -> None:
    """Check batch and chunk of a pre-training against the clips of the corpus, and the memory."""
    recipe, workers = plan.config.recipes[run.recipe], plan.levels.workers(run).values()
    views = max((registry.fact(worker.module, "VIEWS") for worker in workers), default=1)
    batch_key, clips = origin.at("recipes", run.recipe, "batch"), _training_clips(plan, run, indexes)
    if clips is not None and recipe.batch > clips:
        noun = "clip" if clips == 1 else "clips"
        text = f"{batch_key}: {recipe.batch} chunks a batch, but {run.corpus} has {clips} training {noun}"
        if views > 1 and plan.levels.separation_worker(run) is None:
            findings.mistakes.append(f"{text}, which are compared with each other: lower it to {clips} or less")
        else:
            findings.notes.append(f"{text}: a batch holds several chunks of one clip; {clips} or less avoids that")
    longest = _longest_clip(plan, run.corpus)
    if longest is not None and recipe.chunk_seconds > longest and not recipe.join_songs:
        findings.mistakes.append(
            f"{origin.at('recipes', run.recipe, 'chunk_seconds')}: {recipe.chunk_seconds:g} s is longer than any clip "
            f"of {run.corpus}, {longest:g} s: the rest would be silence; choose at most {longest:g}"
        )
    samples = recipe.batch // recipe.accumulate * views * recipe.chunk_seconds * plan.levels.sample_rate(run)
    findings.oversized.extend(
        f"{batch_key}: {problem}: lower it, or compute it in parts (accumulate)" for problem in _excess(samples, memory)
    )


def _training_clips(plan: Plan, run: Run, indexes: Mapping[str, DatasetIndex]) -> int | None:
    """Return how many clips, or songs if they are joined, a run can train on; at most so many for published sets."""
    if run.corpus in indexes:
        clips, recipe = indexes[run.corpus].clips, plan.config.recipes[run.recipe]
        training = clips[clips["split"].isin(recipe.training_splits)]
        songs = training.groupby(["split", "group"], observed=True).ngroups
        return songs if recipe.join_songs else len(training)
    size = dataset_size(plan, run.corpus).clips
    return None if math.isnan(size) else int(size)


def _longest_clip(plan: Plan, dataset: str) -> float | None:
    """Return the seconds that no clip of a data set exceeds, where the config states them."""
    entry = plan.config.datasets[dataset]
    twin = entry.twin.clip_seconds if entry.twin and entry.source == "twin" else None
    return min((limit for limit in (entry.clip_seconds, twin) if limit is not None), default=None)


def _oversized_evaluations(
    plan: Plan, origin: ConfigOrigin, indexes: Mapping[str, DatasetIndex], *, memory: int | None
) -> Iterator[str]:
    """Yield the batches of evaluations that train an encoder and do not fit into the memory."""
    cells = {
        (plan.levels.sample_rate(run), cell.dataset, cell.head, cell.scenario, cell.protocol)
        for run, cell in plan.cells
        if cell.trains_encoder
    }
    for sample_rate, dataset, head, scenario, name in sorted(cells):
        protocol = plan.config.protocols[name].resolve(head=head, scenario=scenario)
        clips = len(indexes[dataset].clips) if dataset in indexes else dataset_size(plan, dataset).clips
        seconds = min(protocol.get("batch", 0), clips) * (protocol.get("crop_seconds") or 0)
        for problem in _excess(seconds * sample_rate, memory):
            yield f"{origin.at('protocols', name)}: batch of {scenario}, {head}: {problem}: lower it, or crop_seconds"


def _excess(samples: float, memory: int | None) -> Iterator[str]:
    """Yield what is wrong if a batch of audio, of so many samples in all, cannot be trained on in this memory."""
    needed = samples * BYTES_OF_FLOAT * NUMBERS_PER_SAMPLE
    if memory is not None and needed > memory:
        yield f"needs at least {needed / GIGABYTE:,.0f} GB of memory, of {memory / GIGABYTE:,.0f} GB here"
