"""SIGKILL at 50 random points over all stages: what was run again has the very bytes of what nothing disturbed."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests import processes
from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.core.checksums import write_record
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.jobs import JobSpec
from workflow_scripts.planning.plan import Plan

KILLS = 50
#: whole runs with two to four kills of any process, decoders included; more of them by hand
RUNS = int(os.environ.get("PRELUDE_KILL_RUNS", "1"))
WHILE_WRITING = 0.6  # so many strike when next a file appears or changes; the others at their random moment
#: stage -> share of the kills; the long ones, and those that write much, get more
SHARES = {
    "prepare": 8,
    "extract": 6,
    "weigh": 6,
    "pretrain": 10,
    "embed": 4,
    "evaluate_embeddings": 6,
    "evaluate": 4,
    "aggregate": 3,
    "tabulate": 3,
}

CONFIG = {
    "studies": ["wu2021_fig8"],
    "trim": {
        "wu2021_fig8": {
            **{"encoder": ["pase"], "workers": ["LP"], "recipe": ["smoke"], "dataset": ["extended_ballroom"]},
            **{"fraction": ["100pct", "50pct"], "published": [], "comparisons": [], "figure": None},
        }
    },
    "worker_sets": {"LP": ["lps", "prosody"]},
    "datasets": {
        "audioset_music": {"twin": {"clips": 12}},
        "extended_ballroom": {"twin": {"clips": 26}},
    },
    "encoders": {"pase": {"embedding": 8, "width": 0.05}},
    # a state after each step, so that kills find something to go on from
    "recipes": {"smoke": {"epochs": 3, "steps_per_epoch": 4, "save_state_seconds": 0.001}},
    "weightings": {"reweighted": {"epochs": 2}},
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its rule starts it; `outputs` are what the rule declares, below the folder of the run."""

    verb: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]


def jobs(plan: Plan) -> Iterator[Job]:
    """All jobs of a plan with one run, in their order, for the folder they are started in."""
    (run,) = plan.pretrained_runs
    rate = plan.levels.sample_rate(run)
    cells = [cell for _, cell in plan.cells]
    for name, _ in plan.corpora:
        yield _job("acquire", plan.jobs.acquire(name), f"--output=data/{name}", outputs=[f"data/{name}/acquired.json"])
    for name, _ in plan.corpora:
        files = ("corpus.json", "audio.int16", "clips.parquet", "labels.parquet", "quarantine.csv", "record.json")
        given = [f"--acquired=data/{name}/acquired.json", f"--output=corpora/{name}", "--threads=2"]
        yield _job(
            "prepare", plan.jobs.prepare(name, rate), *given, outputs=[f"corpora/{name}/{file}" for file in files]
        )
    corpus = f"--corpus=corpora/{run.corpus}"
    extracted = plan.jobs.extract(run.corpus, rate, "prosody")
    stored = ["prosody.npy", "prosody.json"]
    yield _job("extract", extracted, corpus, "--output=prosody.npy", "--threads=1", outputs=stored)
    features = [corpus, "--features=prosody=prosody.npy", "--threads=1"]
    weights = ["run/weights.json", "run/weigh.json"]
    yield _job("weigh", plan.jobs.weigh(run), *features, "--source=equal", "--output=run/weights.json", outputs=weights)
    trained = [f"run/{name}" for name in ("encoder.safetensors", "losses.csv", "record.json")]
    given = [*features, "--weights=run/weights.json", "--output=run"]
    yield _job("pretrain", plan.jobs.pretrain(run), *given, outputs=trained)
    encoder_file = "--encoder-file=run/encoder.safetensors"
    for group in dict.fromkeys(plan.cell_groups.values()):
        given = [f"--corpus=corpora/{group.dataset}", encoder_file, "--output=embeddings.npy"]
        embedded = ["embeddings.npy", "embeddings.json"]
        yield _job("embed", plan.jobs.embed(run, group.dataset), *given, outputs=embedded)
        output = plan.layout.cell_lists(run, group.dataset, group.number)[0]
        given = [f"--corpus=corpora/{group.dataset}", "--embeddings=embeddings.npy", f"--output={output}"]
        yield _job("evaluate_embeddings", plan.jobs.evaluate_embeddings(group), *given, outputs=[output])
    for cell in cells:
        if cell.trains_encoder:
            output = str(Path(plan.layout.trials(run, cell)).parent)
            files = [f"{output}/{name}" for name in ("trials.csv", "predictions.npz", "record.json")]
            given = [f"--corpus=corpora/{cell.dataset}", encoder_file, f"--output={output}"]
            yield _job("evaluate", plan.jobs.evaluate(run, cell), *given, outputs=files)
    yield Job(verb="aggregate", argv=("--manifest=plan.json", "--output=statistics"), outputs=("statistics",))
    given = ["--manifest=plan.json", "--statistics=statistics", "--output=tables"]
    yield Job(verb="tabulate", argv=tuple(given), outputs=("tables",))


def _job(verb: str, job: JobSpec, *given: str, outputs: list[str]) -> Job:
    return Job(verb=verb, argv=("--config", job.config, "--code", job.code, *given), outputs=tuple(outputs))


def work(folder: str, verb: str, argv: tuple[str, ...]) -> None:
    """Run a job in a process that leads a group of its own, as on a cluster, so that all of it can be killed."""
    os.setpgid(0, 0)
    os.chdir(folder)
    importlib.import_module(f"workflow_scripts.{verb}").main(list(argv))


def kill(process: processes.BaseProcess, *, whole: bool) -> None:
    """Kill all of a job, as a cluster does, or only its first process, as a machine without memory does."""
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):  # it has no group yet
        if whole:
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def descendants(pid: int) -> list[int]:
    """List the processes below one: decoders, helpers and what they have started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    below = list(children.get(pid, ()))
    for child in below:
        below += children.get(child, ())
    return below


class Ground:
    """A folder in which jobs are run."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder / "log"
        write_record(folder / "plan.json", build_manifest(plan).to_json(), files={})

    def start(self, job: Job) -> processes.BaseProcess:
        return processes.start(work, str(self.folder), job.verb, job.argv, log=self.log)

    def finish(self, job: Job) -> float:
        """Run a job to its end; return its seconds."""
        started = time.monotonic()
        assert processes.exit_codes([self.start(job)]) == [0], self.log.read_text()[-3000:]
        return time.monotonic() - started

    def finish_despite(self, job: Job, *, kills: int, seconds: float, generator: random.Random) -> list[bool]:
        """Run a job to its end and kill up to so many of its processes on the way; return which were not the first."""
        below: list[bool] = []
        while True:
            process = self.start(job)
            while len(below) < kills:
                process.join(timeout=generator.random() * seconds)
                if not process.is_alive():
                    break
                victim = generator.choice([process.pid, *descendants(process.pid)])
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(victim, signal.SIGKILL)
                    below.append(victim != process.pid)
            process.join()
            if process.exitcode == 0:
                return below
            self.clear(job)

    def wait_for_writing(self, process: processes.BaseProcess) -> None:
        """Wait until any file but the log appears or changes, or the process ends."""
        before = self._files()
        while process.is_alive() and self._files() == before:
            time.sleep(0.001)  # shorter than a job's writing, and leaves the processor to other tests

    def _files(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file."""
        contents, folders = {}, [str(self.folder)]
        while folders:
            with contextlib.suppress(FileNotFoundError):  # what was temporary
                for entry in os.scandir(folders.pop()):
                    if entry.is_dir():
                        folders.append(entry.path)
                    elif entry.path != str(self.log):
                        contents[entry.path] = (entry.stat().st_size, entry.stat().st_mtime_ns)
        return contents

    def clear(self, job: Job) -> None:
        """Remove what the job declares, as Snakemake does before it starts it again."""
        for output in (self.folder / name for name in job.outputs):
            if output.is_dir():
                shutil.rmtree(output)
            else:
                output.unlink(missing_ok=True)

    def contents(self) -> Mapping[str, bytes]:
        """All that must not differ: results without records of time, and without the hidden files beside them."""
        contents = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if path.is_file() and not any(part.startswith(".") for part in name.split("/")) and path != self.log:
                contents[name] = _timeless(path)
        return contents


def _timeless(path: Path) -> bytes:
    if path.name in ("acquired.json", "record.json", "weigh.json", "embeddings.json", "prosody.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        return json.dumps({key: record.get(key) for key in ("code", "config", "data", "digest", "weights")}).encode()
    if path.name == "cells0.json":  # it has the checksums of records
        return json.dumps([*json.loads(path.read_text(encoding="utf-8"))["cells"]]).encode()
    if path.name == "summary.json":  # its checksums are those of files with times
        return json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"sha256": None}).encode()
    if path.name == "trials.csv":
        return pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    return b"" if path.name == "trials.parquet" else path.read_bytes()  # its csv is compared


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of one small run and its cells."""
    given = tmp_path_factory.mktemp("config") / "kill_anywhere.yaml"
    given.write_text(json.dumps(CONFIG), encoding="utf-8")  # JSON is YAML
    folder = REPOSITORY / "config"
    return Plan(*load([folder / "config.yaml", folder / "smoke.yaml", given], folder=folder))


@pytest.mark.slow
def test_killed_anywhere_everything_ends_with_the_same_bytes(plan, tmp_path):
    undisturbed, killed = (Ground(tmp_path / name, plan) for name in ("undisturbed", "killed"))
    generator, kills = random.Random(5), dict.fromkeys(SHARES, 0)
    planned = list(jobs(plan))
    quota = {verb: [job for job in planned if job.verb == verb] for verb in SHARES}
    for job in planned:
        seconds = undisturbed.finish(job)
        wanted = -(-SHARES.get(job.verb, 0) // len(quota.get(job.verb, [job])))
        survived = 0
        while survived < wanted:
            process = killed.start(job)
            process.join(timeout=generator.random() * seconds)
            if generator.random() < WHILE_WRITING:
                killed.wait_for_writing(process)
            if process.is_alive():
                kill(process, whole=generator.random() < 0.7)
                survived += 1
                kills[job.verb] += 1
            else:
                assert process.exitcode == 0, killed.log.read_text()[-3000:]
            if generator.random() < 0.8 or process.exitcode == 0:  # else it is as a killed Snakemake leaves it
                killed.clear(job)
        killed.finish(job)
    assert sum(kills.values()) >= KILLS, kills
    wanted, contents = undisturbed.contents(), killed.contents()
    assert contents.keys() == wanted.keys()
    assert [name for name, content in wanted.items() if contents[name] != content] == []


@pytest.mark.slow
def test_runs_in_which_any_process_is_killed_end_with_the_same_bytes(plan, tmp_path):
    undisturbed, planned = Ground(tmp_path / "undisturbed", plan), list(jobs(plan))
    seconds = [undisturbed.finish(job) for job in planned]
    wanted, generator = undisturbed.contents(), random.Random(6)
    kills: list[list[bool]] = []
    differing: list[tuple[int, str]] = []
    for number in range(RUNS):
        ground, struck = Ground(tmp_path / f"run{number}", plan), list[bool]()
        weights = [SHARES.get(job.verb, 1) for job in planned]
        places = generator.choices(range(len(planned)), weights=weights, k=generator.randint(2, 4))
        for place, job in enumerate(planned):
            due = sum(other <= place for other in places) - len(struck)  # with those that an earlier job outran
            struck += ground.finish_despite(job, kills=due, seconds=seconds[place], generator=generator)
        kills.append(struck)
        contents = ground.contents()
        assert contents.keys() == wanted.keys()
        differing += [(number, name) for name, content in wanted.items() if contents[name] != content]
        shutil.rmtree(ground.folder)
    below = sum(map(sum, kills))
    print(f"{RUNS} runs, {sum(map(len, kills))} kills, {below} of processes below a job's first; {differing} differ")
    assert sum(map(len, kills)) >= 2 * RUNS
    assert differing == []
