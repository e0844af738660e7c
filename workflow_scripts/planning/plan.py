"""Plan of a config: the runs, cells, corpora and audits that its studies need.

Planning imports no torch, so a dry run takes seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.published import Statement
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.levels.dataset_facts import SPLITS
from workflow_scripts.planning.cell_lists import CellGroup, group_cells
from workflow_scripts.planning.grids import expand
from workflow_scripts.planning.jobs import Jobs
from workflow_scripts.planning.layout import Layout
from workflow_scripts.planning.levels import Levels
from workflow_scripts.planning.runs import CellKey, ListeningPlan, Run


class Plan:
    """Everything that the studies of a config need, in planned order."""

    def __init__(
        self,
        config: Config,
        studies: Mapping[str, StudyConfig],
        statements: Mapping[str, Sequence[Statement]] | None = None,
    ) -> None:
        """Take a config, its studies by name, trimmed, and the published statements that each is compared with."""
        self.config, self.studies = config, studies
        self.statements = statements or {}
        self.layout = Layout.of_config(self.config)
        self.levels = Levels(self.config)
        self.jobs = Jobs(self.config, self.levels)

    @functools.cached_property
    def cells_by_study(self) -> dict[str, list[tuple[Run, CellKey]]]:
        """Runs and cells of each study in the study's own order, each once."""
        checkpoints = self.levels.encoders_of_checkpoints
        return {name: list(dict.fromkeys(expand(study, checkpoints))) for name, study in self.studies.items()}

    @functools.cached_property
    def cells(self) -> dict[tuple[Run, CellKey], list[str]]:
        """Every run and cell that a study needs, with the names of these studies."""
        studies: dict[tuple[Run, CellKey], list[str]] = {}
        for name, pairs in self.cells_by_study.items():
            for pair in pairs:
                studies.setdefault(pair, []).append(name)
        return studies

    @functools.cached_property
    def pretrained_runs(self) -> list[Run]:
        """Every run trained here."""
        return list(dict.fromkeys(run for run, _ in self.cells if run.is_trained_here))

    @functools.cached_property
    def imported_runs(self) -> list[Run]:
        """Every imported run."""
        return list(dict.fromkeys(run for run, _ in self.cells if run.is_imported))

    @functools.cached_property
    def packages(self) -> list[str]:
        """Archives of packages that hold checkpoints of imported runs."""
        stated = [self.config.checkpoints[run.corpus].package for run in self.imported_runs]
        return sorted({package.archive for package in stated if package})

    @functools.cached_property
    def fetched_weights(self) -> list[str]:
        """Models of timm whose weights some head starts from."""
        models = {self.levels.fetched_weights(cell.head) for _, cell in self.cells}
        return sorted(filter(None, models))

    @functools.cached_property
    def separation_runs(self) -> list[Run]:
        """Every run trained here that learns to separate sources."""
        return [run for run in self.pretrained_runs if self.levels.separation_worker(run)]

    @functools.cached_property
    def corpora(self) -> list[tuple[str, int]]:
        """Data set and sample rate in Hz of every corpus, sorted."""
        rate = self.levels.sample_rate
        corpora = {(cell.dataset, rate(run)) for run, cell in self.cells}
        corpora |= {(run.corpus, rate(run)) for run in self.pretrained_runs}
        return sorted(corpora)

    @functools.cached_property
    def features(self) -> list[tuple[str, int, str]]:
        """Corpus, sample rate in Hz and worker of every `extract` job."""
        return list(
            dict.fromkeys(
                (run.corpus, self.levels.sample_rate(run), worker)
                for run in self.pretrained_runs
                for worker in self.levels.precomputed_workers(run)
            )
        )

    @functools.cached_property
    def embedding_jobs(self) -> list[tuple[Run, str]]:
        """Run and data set of every `embed` job."""
        return list(dict.fromkeys((run, cell.dataset) for run, cell in self.cells if not cell.trains_encoder))

    @functools.cached_property
    def cell_groups(self) -> dict[tuple[Run, CellKey], CellGroup]:
        """The group of each cell whose encoder stays frozen: each group is one `evaluate_embeddings` job."""
        return {(group.run, cell): group for group in group_cells(self.cells) for cell in group.cells}

    @functools.cached_property
    def filter_jobs(self) -> list[tuple[Run, CellKey]]:
        """Run and cell of every `visualise_filters` job: all cells of the studies whose figure draws filters."""
        drawn = [name for name, study in self.studies.items() if study.draws_filters]
        return list(dict.fromkeys(pair for name in drawn for pair in self.cells_by_study[name]))

    @functools.cached_property
    def listening_pages(self) -> dict[str, ListeningPlan]:
        """Pages to listen to filters, by study: of its first frozen encoder that is no floor, and all data sets."""
        pages = {}
        for name, study in self.studies.items():
            frozen = [
                (run, cell)
                for run, cell in self.cells_by_study[name]
                if run.encoder not in study.floors and not cell.trains_encoder
            ]
            if study.listening is not None:
                run = frozen[0][0]
                cells: dict[str, CellKey] = {}
                for other, cell in frozen:
                    if other == run:
                        cells.setdefault(cell.dataset, cell)
                pages[name] = ListeningPlan(
                    study=name,
                    title=study.title,
                    rows=study.listening.rows,
                    audio=study.listening.audio,
                    run=run,
                    cells=tuple(cells[dataset] for dataset in sorted(cells)),  # the order of JSON's keys
                )
        return pages

    @functools.cached_property
    def audits(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """Corpora that the audit of each evaluated data set compares: its own, then those of pre-training.

        A corpus is a data set and a sample rate in Hz; of several rates the lowest is used, which takes the least time.
        """
        rates: dict[str, int] = {}
        for name, rate in self.corpora:
            rates[name] = min(rate, rates.get(name, rate))
        pretraining: dict[str, set[str]] = {}
        for run, cell in self.cells:
            corpora = pretraining.setdefault(cell.dataset, set())
            if run.is_trained_here and run.corpus != cell.dataset:
                corpora.add(run.corpus)
        return {
            dataset: tuple((name, rates[name]) for name in [dataset, *sorted(corpora)])
            for dataset, corpora in sorted(pretraining.items())
        }

    @functools.cached_property
    def must_be_clean(self) -> dict[str, list[str]]:
        """Evaluated data sets whose audit must not find a leak, with the studies that require it."""
        studies: dict[str, list[str]] = {}
        for name, study in self.studies.items():
            for dataset in study.levels_of("dataset") if study.audit == "clean" else []:
                studies.setdefault(str(dataset), []).append(name)
        return studies

    @functools.cached_property
    def needed_splits(self) -> dict[str, list[str]]:
        """Splits in which each data set needs clips: all to be evaluated on, and those that pre-training reads."""
        splits: dict[str, set[str]] = {}
        for run in self.pretrained_runs:
            validates = self.config.recipes[run.recipe].validation_batches > 0
            splits.setdefault(run.corpus, set()).update(("train", "valid") if validates else ("train",))
        for _, cell in self.cells:
            splits.setdefault(cell.dataset, set()).update(SPLITS)
        return {name: [split for split in SPLITS if split in needed] for name, needed in sorted(splits.items())}

    @functools.cached_property
    def largest_shares(self) -> dict[str, float]:
        """Largest share of quarantined clips by data set: the least that any study which uses the set allows."""
        shares: dict[str, float] = {}
        for name, study in self.studies.items():
            if study.quarantine is None:
                continue
            datasets = {cell.dataset for _, cell in self.cells_by_study[name]}
            datasets |= {run.corpus for run, _ in self.cells_by_study[name] if run.is_trained_here}
            share = study.quarantine.largest_share
            shares |= {dataset: min(share, shares.get(dataset, share)) for dataset in datasets}
        return dict(sorted(shares.items()))
