"""The workflow as a user runs it: the smoke DAG end to end, then what each kind of change makes it do again.

Every edit is made in a copy of the repository with finished results; the planned jobs are compared with the expected
set exactly.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.repository import REPOSITORY, SHARED, needs_shared

pytestmark = pytest.mark.slow

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "data", "results", ".snakemake", "__pycache__", ".*_cache", ".hypothesis"
)
SMOKE = "config/smoke.yaml"
PRETRAINED = "audioset_music/pase/WLPMCT/equal/none/smoke/seed0"
SUPERVISED = "none/pase/none/none/none/none/seed0"
RANDOM = "none/random/none/none/none/none/seed0"
HANDCRAFTED = "none/handcrafted/none/none/none/none/seed0"
DATASETS = ("openmic", "extended_ballroom")
#: what follows from any changed trial
SUMMARIES = {"aggregate", "tabulate", "draw", "compose"}


def snakemake(
    folder: Path, *arguments: str, configfiles: tuple[str, ...] = (SMOKE,)
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores=2", "--scheduler=greedy", "--configfile", *configfiles]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def planned(folder: Path) -> set[str]:
    """Jobs of a dry run, as "rule" or, where a rule has many, "rule <path of its first output below the results>"."""
    result = snakemake(folder, "--dry-run")
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = set()
    for rule, output in re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: ([^,\n]+)", result.stdout, re.M):
        folder_of_jobs = re.sub(r"^results/smoke/\w+/|^data/smoke/", "", str(Path(output).parent))
        jobs.add(rule if rule in SUMMARIES | {"plan"} else f"{rule} {named(rule, Path(output), folder_of_jobs)}")
    return jobs - {"all"}


def named(rule: str, output: Path, folder: str) -> str:
    return f"{folder}/{output.stem}" if rule in ("embed", "extract") else folder


def evaluations(run: str, *scenarios: str, datasets: tuple[str, ...] = DATASETS) -> set[str]:
    return {
        f"evaluate_{'embeddings' if scenario == 'frozen' else 'encoder'} {run}/{dataset}/linear/{scenario}/100pct"
        for scenario in scenarios
        for dataset in datasets
    }


def embeds(run: str, datasets: tuple[str, ...] = DATASETS) -> set[str]:
    return {f"embed {run}/{dataset}" for dataset in datasets}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which the smoke DAG has run."""
    folder = tmp_path_factory.mktemp("smoke") / "prelude"
    shutil.copytree(REPOSITORY, folder, ignore=LEFT_OUT)
    result = snakemake(folder, "--show-failed-logs")
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-15000:]
    return folder


@contextmanager
def edited(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def with_meaning(text: str) -> str:
    return text + "\n\nADDED_BY_A_TEST = 1\n"


def test_the_smoke_run_draws_every_artefact(finished: Path) -> None:
    results = finished / "results" / "smoke"
    for path in [
        *(results / "tables" / f"wu2021_fig2.{format}" for format in ("csv", "md", "tex", "html")),
        *(results / "figures" / f"wu2021_fig2.{format}" for format in ("svg", "pdf", "png")),
        results / "report" / "index.html",
    ]:
        assert path.stat().st_size > 200, path
    trials = pd.read_csv(results / "statistics" / "trials.csv")
    macro_f1 = trials[trials.metric == "macro_f1"]
    cells = macro_f1.groupby(["encoder", "scenario", "dataset"]).size()
    assert len(cells) == (3 + 2) * len(DATASETS)
    assert (cells == 3).all(), "three trials a cell"
    assert macro_f1.value.between(0, 1).all()
    scores = trials[trials.metric != "classes_skipped"].value
    assert scores.dropna().between(0, 1).all()  # an AUC has no value where no class was seen with both labels
    assert set(trials.source) == {"twin"}


def test_quarantined_clips_show_in_every_table(finished: Path) -> None:
    quarantine = pd.read_csv(finished / "results/smoke/corpora/openmic/16000/quarantine.csv")
    assert len(quarantine) > 0, "the smoke twins have defects"
    trials = pd.read_csv(finished / "results/smoke/statistics/trials.csv")
    assert set(trials[trials.dataset == "openmic"].quarantined) == {len(quarantine)}
    assert "quarantined" in (finished / "results/smoke/tables/wu2021_fig2.md").read_text(encoding="utf-8").lower()


def test_a_second_run_does_nothing(finished: Path) -> None:
    assert planned(finished) == set()


@pytest.mark.parametrize("file", ["workflow_scripts/encoders/pase.py", "workflow_scripts/training/trainer.py"])
def test_a_comment_re_runs_nothing(finished: Path, file: str) -> None:
    with edited(finished / file, lambda text: text + "\n# a remark\n"):
        assert planned(finished) == set()


def test_an_encoder_re_runs_its_runs(finished: Path) -> None:
    with edited(finished / "workflow_scripts/encoders/pase.py", with_meaning):
        assert planned(finished) == {
            f"pretrain {PRETRAINED}",
            *embeds(PRETRAINED),
            *embeds(RANDOM),
            *evaluations(PRETRAINED, "frozen", "fine_tuned"),
            *evaluations(SUPERVISED, "supervised"),
            *evaluations(RANDOM, "frozen"),
            "plan",
            *SUMMARIES,
        }


def test_a_worker_re_runs_the_runs_of_its_sets(finished: Path) -> None:
    with edited(finished / "workflow_scripts/workers/mfcc.py", with_meaning):
        assert planned(finished) == {
            f"pretrain {PRETRAINED}",
            *embeds(PRETRAINED),
            *evaluations(PRETRAINED, "frozen", "fine_tuned"),
            "plan",
            *SUMMARIES,
        }


def test_a_stored_worker_re_runs_its_targets_too(finished: Path) -> None:
    with edited(finished / "workflow_scripts/workers/prosody.py", with_meaning):
        assert planned(finished) == {
            "extract audioset_music/16000/prosody",
            f"pretrain {PRETRAINED}",
            *embeds(PRETRAINED),
            *evaluations(PRETRAINED, "frozen", "fine_tuned"),
            "plan",
            *SUMMARIES,
        }


def test_a_recipe_number_re_runs_what_was_trained_by_it(finished: Path) -> None:
    with edited(finished / SMOKE, lambda text: text.replace("steps_per_epoch: 2", "steps_per_epoch: 3")):
        assert planned(finished) == {
            f"pretrain {PRETRAINED}",
            *embeds(PRETRAINED),
            *evaluations(PRETRAINED, "frozen", "fine_tuned"),
            "plan",
            *SUMMARIES,
        }


def test_a_new_data_set_runs_its_own_cells(finished: Path) -> None:
    more = "dataset: [openmic, extended_ballroom, fma_small]"
    added = ("fma_small",)
    with edited(finished / SMOKE, lambda text: text.replace("dataset: [openmic, extended_ballroom]", more)):
        assert planned(finished) == {
            "acquire fma_small",
            "prepare fma_small/16000",
            *(job for run in (PRETRAINED, RANDOM, HANDCRAFTED) for job in embeds(run, added)),
            *evaluations(PRETRAINED, "frozen", "fine_tuned", datasets=added),
            *evaluations(SUPERVISED, "supervised", datasets=added),
            *evaluations(RANDOM, "frozen", datasets=added),
            *evaluations(HANDCRAFTED, "frozen", datasets=added),
            "plan",
            *SUMMARIES,
        }


def test_report_code_re_runs_no_training(finished: Path) -> None:
    with edited(finished / "workflow_scripts/compose.py", with_meaning):
        assert planned(finished) == {"compose"}
    with edited(finished / "workflow_scripts/draw.py", with_meaning):
        assert planned(finished) == {"draw", "compose"}


def test_stale_results_are_noticed_without_snakemakes_records(finished: Path) -> None:
    records, aside = finished / ".snakemake", finished / ".snakemake-aside"
    records.rename(aside)
    try:
        with edited(finished / "workflow_scripts/encoders/pase.py", with_meaning):
            result = snakemake(finished, "--show-failed-logs")
            assert result.returncode != 0
            assert "stale" in result.stdout + result.stderr
    finally:
        shutil.rmtree(records)
        aside.rename(records)
        restored = snakemake(finished)
        assert restored.returncode == 0, restored.stderr[-5000:]


TOY_ENCODER = '''
"""The smallest encoder: one convolution."""

from dataclasses import dataclass

from torch import Tensor, nn

from workflow_scripts.training.shapes import Encoder

TRAINABLE = True
SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class Options:
    channels: int = 8


class Toy(Encoder):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sample_rate, self.hop, self.embedding_size = SAMPLE_RATE, 160, channels
        self.layer = nn.Conv1d(1, channels, 160, stride=160)

    def forward(self, audio: Tensor) -> Tensor:
        return self.layer(audio[:, None])


def build(options: Options) -> Encoder:
    return Toy(options.channels)
'''

TOY_DATASET = '''
"""Two kinds of tone."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow_scripts.audio.index import DatasetIndex

BIBTEX = ""
LICENSE = "none"
REMOTES: dict = {}
TASK = "multiclass"


@dataclass(frozen=True, kw_only=True)
class Options:
    pass


def index(root: Path, options: Options) -> DatasetIndex:
    paths = sorted(root.glob("*.wav"))
    names = [path.stem for path in paths]
    clips = pd.DataFrame({"clip": names, "path": [path.name for path in paths]})
    clips["start_seconds"] = clips["end_seconds"] = float("nan")
    clips["split"] = [("train", "train", "valid", "test")[int(name[4:]) % 4] for name in names]
    clips["group"] = names
    labels = pd.DataFrame({kind: [float(name.startswith(kind)) for name in names] for kind in ("high", "deep")}, names)
    return DatasetIndex(task=TASK, clips=clips, labels=labels.astype("float32"))
'''

TOY_CONFIG = """
trim:
  wu2021_fig2: {{dataset: [toy], encoder: [toy], scenario: [frozen, fine_tuned], floors: [random], comparisons: []}}
datasets:
  toy: {{loader: toy, source: local, path: "{tones}"}}
encoders:
  toy: {{channels: 4}}
"""


def test_a_new_encoder_and_a_new_data_set_are_one_file_each(finished: Path, tmp_path: Path) -> None:
    package = finished / "workflow_scripts"
    levels = {package / "encoders" / "toy.py": TOY_ENCODER, package / "datasets" / "toy.py": TOY_DATASET}
    write_tones(tmp_path / "tones")
    config = tmp_path / "toy.yaml"
    config.write_text(TOY_CONFIG.format(tones=tmp_path / "tones"), encoding="utf-8")
    for path, text in levels.items():
        path.write_text(text, encoding="utf-8")
    try:
        result = snakemake(finished, "--show-failed-logs", configfiles=(SMOKE, str(config)))
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-8000:]
        trials = pd.read_csv(finished / "results/smoke/statistics/trials.csv")
        assert {tuple(row) for row in trials[["dataset", "encoder", "scenario"]].to_numpy()} == {
            ("toy", "toy", "frozen"),
            ("toy", "toy", "fine_tuned"),
            ("toy", "random", "frozen"),
        }
    finally:
        for path in levels:
            path.unlink()
        restored = snakemake(finished)
    assert restored.returncode == 0, restored.stderr[-5000:]


def write_tones(folder: Path) -> None:
    folder.mkdir()
    for kind, hertz in {"high": 3000, "deep": 200}.items():
        for number in range(8):
            sound = 0.3 * np.sin(2 * np.pi * (hertz + 10 * number) * np.arange(16000) / 16000)
            soundfile.write(folder / f"{kind}{number}.wav", sound, 16000)


@needs_shared
def test_the_readmes_config_runs_on_real_recordings(finished: Path, tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.S)
    assert shown
    text = shown.group(1)
    assert text == (REPOSITORY / "config/own_recordings.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    audio = SHARED / "audio"
    for here, there in {
        "recordings/unlabelled": audio / "unlabelled",
        "recordings/instruments": audio / "labelled/instruments_iowa",
        "recordings/environment": audio / "labelled/environment_esc10",
        "recordings/styles": audio / "labelled/style_loops",
        "recordings/labels.csv": audio / "manifest.csv",
    }.items():
        assert here in text
        text = text.replace(here, str(there))
    given, quick = tmp_path / "own.yaml", tmp_path / "quick.yaml"
    given.write_text(text, encoding="utf-8")
    quick.write_text(
        "recipes: {short: {epochs: 1, steps_per_epoch: 2, calibration_batches: 2, validation_batches: 1}}\n"
        "evaluation: {trials: 3, max_epochs: 5}\n",
        encoding="utf-8",
    )
    result = snakemake(finished, "--show-failed-logs", configfiles=(str(given), str(quick)))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-8000:]
    cells = pd.read_csv(finished / "results/own_recordings/statistics/cells.csv")
    assert set(cells.dataset) == {"instruments", "environment", "styles"}
    assert set(cells.source) == {"local"}
