"""Paths of all results, as the output patterns of rules/ have them. `core.result_files` has the names of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.configuration.config import Config
from workflow_scripts.core import result_files
from workflow_scripts.planning.runs import CellKey, Run, path_of

STATISTICS_FOLDER, MANIFEST = "statistics", "plan.json"  # below the folder of results, and in that folder
TABLES = "entries cells comparisons across ranks profiles variance seeds classes"
#: files of statistics, by the names of their outputs
STATISTICS_FILES = {
    "trials": "trials.csv",
    "parquet": "trials.parquet",
    **{name: f"{name}.csv" for name in TABLES.split()},
    "reproduction": "reproduction.csv",
    "summary": "summary.json",
    "manifest": MANIFEST,
}
TABLE_FORMATS = ("csv", "md", "tex", "html")
FIGURE_FORMATS = ("svg", "pdf", "png", "csv", "json")  # json: the checksums of the others


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Paths below the folders of data and of results, as text, because Snakemake compares paths as text."""

    data: str
    results: str

    @classmethod
    def of_config(cls, config: Config) -> Layout:
        """Return the layout of a config's two folders, without a leading "./" or doubled slashes."""
        return cls(data=str(Path(config.data)), results=str(Path(config.results)))

    def acquisition_record(self, dataset: str) -> str:
        """Return the record of a data set's files."""
        return f"{self.data}/{dataset}/{result_files.ACQUIRED}"

    def package(self, archive: str) -> str:
        """Return the file of a Python package's archive."""
        return f"{self.data}/packages/{archive}"

    @property
    def weights_cache(self) -> str:
        """Return the folder of weights that heads start from, in the form of Hugging Face's cache."""
        return f"{self.data}/downloads/timm"

    def fetched_weights(self, model: str) -> str:
        """Return the note that the weights of a model of timm are in the cache."""
        return f"{self.weights_cache}/{model}.json"

    def corpus_folder(self, dataset: str, sample_rate: int) -> str:
        """Return the folder of a prepared corpus; `sample_rate` is in Hz."""
        return f"{self.results}/corpora/{dataset}/{sample_rate}"

    def corpus(self, dataset: str, sample_rate: int) -> str:
        """Return the facts file of a prepared corpus."""
        return f"{self.corpus_folder(dataset, sample_rate)}/{result_files.CORPUS_FACTS}"

    def corpus_record(self, dataset: str, sample_rate: int) -> str:
        """Return the record of a preparation."""
        return f"{self.corpus_folder(dataset, sample_rate)}/{result_files.RECORD}"

    def stem(self, dataset: str, sample_rate: int, stem: str) -> str:
        """Return the audio of one stem of a prepared corpus."""
        return f"{self.corpus_folder(dataset, sample_rate)}/{result_files.audio_file(stem)}"

    def features(self, corpus: str, sample_rate: int, worker: str) -> str:
        """Return the stored targets of a worker."""
        return f"{self.results}/features/{corpus}/{sample_rate}/{worker}.npy"

    def features_record(self, corpus: str, sample_rate: int, worker: str) -> str:
        """Return the record of an extraction."""
        return f"{self.results}/features/{corpus}/{sample_rate}/{worker}.json"

    def run_folder(self, run: Run) -> str:
        """Return the folder of a pre-trained or imported run."""
        return f"{self.results}/pretrained/{path_of(run)}"

    def encoder(self, run: Run) -> str:
        """Return the encoder file of a run."""
        return f"{self.run_folder(run)}/{result_files.ENCODER}"

    def encoder_record(self, run: Run) -> str:
        """Return the record of a pre-training or of an import."""
        return f"{self.run_folder(run)}/{result_files.RECORD}"

    def loss_weights(self, run: Run) -> str:
        """Return the loss weights of a run."""
        return f"{self.run_folder(run)}/{result_files.LOSS_WEIGHTS}"

    def loss_weights_record(self, run: Run) -> str:
        """Return the record of the computation of loss weights."""
        return f"{self.run_folder(run)}/{result_files.LOSS_WEIGHTS_RECORD}"

    def separation(self, run: Run) -> str:
        """Return the separation quality of a run; the file is also the record of its job."""
        return f"{self.run_folder(run)}/{result_files.SEPARATION}"

    def embeddings(self, run: Run, dataset: str) -> str:
        """Return the embeddings of a data set."""
        return f"{self.results}/embeddings/{path_of(run)}/{dataset}.npy"

    def embeddings_record(self, run: Run, dataset: str) -> str:
        """Return the record of the computation of embeddings."""
        return f"{self.results}/embeddings/{path_of(run)}/{dataset}.json"

    def evaluations(self, run: Run, dataset: str) -> str:
        """Return the folder of a run's cells of a data set."""
        return f"{self.results}/evaluations/{path_of(run)}/{dataset}"

    def cell_lists(self, run: Run, dataset: str, number: int) -> tuple[str, str]:
        """Return the list of finished cells of a group under its two names, of which one at most is there."""
        path = f"{self.evaluations(run, dataset)}/cells{number}"
        return f"{path}.json", f"{path}.again.json"

    def evaluation(self, run: Run, cell: CellKey) -> str:
        """Return the folder of a cell."""
        return f"{self.results}/evaluations/{path_of(run, cell)}"

    def trials(self, run: Run, cell: CellKey) -> str:
        """Return the trials of a cell."""
        return f"{self.evaluation(run, cell)}/{result_files.TRIALS}"

    def evaluation_record(self, run: Run, cell: CellKey) -> str:
        """Return the record of an evaluation."""
        return f"{self.evaluation(run, cell)}/{result_files.RECORD}"

    def spectra(self, run: Run, cell: CellKey) -> str:
        """Return the spectra of the filters of a cell's encoder."""
        return f"{self.results}/filters/{path_of(run, cell)}/{result_files.SPECTRA}"

    def spectra_record(self, run: Run, cell: CellKey) -> str:
        """Return the record of the spectra of filters."""
        return f"{self.results}/filters/{path_of(run, cell)}/{result_files.RECORD}"

    def listening_page(self, study: str) -> str:
        """Return the listening page of a study."""
        return f"{self.results}/listening/{study}/index.html"

    def listening_record(self, study: str) -> str:
        """Return the record of a listening page."""
        return f"{self.results}/listening/{study}/{result_files.RECORD}"

    def audit(self, dataset: str) -> str:
        """Return the numbers of a data set's audit."""
        return f"{self.results}/audits/{dataset}.json"

    def overlaps(self, dataset: str) -> str:
        """Return the clips that a data set's audit lists."""
        return f"{self.results}/audits/{dataset}.csv"

    def clean_audit(self, dataset: str) -> str:
        """Return the statement that a data set's audit lists no clips which a study forbids."""
        return f"{self.results}/audits/{dataset}.clean.json"

    def manifest(self, digest: str) -> str:
        """Return the manifest with a digest."""
        return f"{self.results}/plans/{digest}.json"

    @property
    def journal(self) -> str:
        """Journal of the attempts of all jobs."""
        return f"{self.results}/logs/attempts.jsonl"

    @property
    def statistics(self) -> str:
        """Folder of the statistics."""
        return f"{self.results}/{STATISTICS_FOLDER}"

    @property
    def tables(self) -> str:
        """Folder of the tables."""
        return f"{self.results}/tables"

    @property
    def report(self) -> str:
        """First page of the report."""
        return f"{self.results}/report/index.html"

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
