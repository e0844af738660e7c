"""Paths of all results: the one place where each of them is spelled out, beside the output patterns of rules/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.planning.runs import CellKey, Run, path_of


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Paths below the folders of data and of results, as text, because Snakemake compares paths as text."""

    data: str
    results: str

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Layout:
        """Return the layout of a config's two folders, without a leading "./" or doubled slashes."""
        return cls(data=str(Path(config["data"])), results=str(Path(config["results"])))

    def acquired(self, dataset: str) -> str:
        """Return the record of a data set's files."""
        return f"{self.data}/{dataset}/acquired.json"

    def corpus_folder(self, dataset: str, sample_rate: int) -> str:
        """Return the folder of a prepared corpus; `sample_rate` is in Hz."""
        return f"{self.results}/corpora/{dataset}/{sample_rate}"

    def corpus(self, dataset: str, sample_rate: int) -> str:
        """Return the facts file of a prepared corpus."""
        return f"{self.corpus_folder(dataset, sample_rate)}/corpus.json"

    def corpus_record(self, dataset: str, sample_rate: int) -> str:
        """Return the record of a preparation."""
        return f"{self.corpus_folder(dataset, sample_rate)}/record.json"

    def stem(self, dataset: str, sample_rate: int, stem: str) -> str:
        """Return the audio of one stem of a prepared corpus."""
        return f"{self.corpus_folder(dataset, sample_rate)}/audio.{stem}.int16"

    def features(self, corpus: str, sample_rate: int, worker: str) -> str:
        """Return the stored targets of a worker."""
        return f"{self.results}/features/{corpus}/{sample_rate}/{worker}.npy"

    def features_record(self, corpus: str, sample_rate: int, worker: str) -> str:
        """Return the record of an extraction."""
        return f"{self.results}/features/{corpus}/{sample_rate}/{worker}.json"

    def pretrained(self, run: Run) -> str:
        """Return the folder of a pre-trained or imported run."""
        return f"{self.results}/pretrained/{path_of(run)}"

    def encoder(self, run: Run) -> str:
        """Return the encoder file of a run."""
        return f"{self.pretrained(run)}/encoder.safetensors"

    def encoder_record(self, run: Run) -> str:
        """Return the record of a pre-training or of an import."""
        return f"{self.pretrained(run)}/record.json"

    def loss_weights(self, run: Run) -> str:
        """Return the loss weights of a run."""
        return f"{self.pretrained(run)}/weights.json"

    def loss_weights_record(self, run: Run) -> str:
        """Return the record of the computation of loss weights."""
        return f"{self.pretrained(run)}/weigh.json"

    def separation(self, run: Run) -> str:
        """Return the separation quality of a run, which is its own record."""
        return f"{self.pretrained(run)}/separation.json"

    def embeddings(self, run: Run, dataset: str) -> str:
        """Return the embeddings of a data set."""
        return f"{self.results}/embeddings/{path_of(run)}/{dataset}.npy"

    def embeddings_record(self, run: Run, dataset: str) -> str:
        """Return the record of the computation of embeddings."""
        return f"{self.results}/embeddings/{path_of(run)}/{dataset}.json"

    def evaluation(self, run: Run, cell: CellKey) -> str:
        """Return the folder of a cell."""
        return f"{self.results}/evaluations/{path_of(run, cell)}"

    def trials(self, run: Run, cell: CellKey) -> str:
        """Return the trials of a cell."""
        return f"{self.evaluation(run, cell)}/trials.csv"

    def evaluation_record(self, run: Run, cell: CellKey) -> str:
        """Return the record of an evaluation."""
        return f"{self.evaluation(run, cell)}/record.json"

    def audit(self, dataset: str) -> str:
        """Return the numbers of a data set's audit."""
        return f"{self.results}/audits/{dataset}.json"

    def manifest(self, digest: str) -> str:
        """Return the manifest with a digest."""
        return f"{self.results}/plans/{digest}.json"

    @property
    def figures(self) -> str:
        """Folder of the figures."""
        return f"{self.results}/figures"

    @property
    def unfinished(self) -> str:
        """Folder of tables, figures and report of a run that failed."""
        return f"{self.results}/unfinished"

    def log(self, stage: str, *parts: object) -> str:
        """Return the log of a job."""
        return f"{'/'.join([self.results, 'logs', stage, *map(str, parts)])}.log"
