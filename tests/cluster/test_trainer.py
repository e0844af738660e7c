"""The real trainer on the cluster: it resumes after a warning before its time limit and after a cancellation."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.repository_copy import copy_repository, make_workflow, run_locally
from tests.cluster.workflow import TIMEOUT_SECONDS, Job

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

#: an augmentation that changes nothing, but is slow while a file exists, and records that in another file
SLOW_AUGMENTATION = '''
"""Slow augmentation."""

import time
from pathlib import Path

from workflow_scripts.levels.options import LevelOptions

LABEL = "slow"


class Options(LevelOptions):
    while_exists: str = ""


def build(options, **_):
    from workflow_scripts.networks.interfaces import Augmentation

    class Slow(Augmentation):
        def __init__(self, file):
            self.file = file

        def __call__(self, audio, *, generator):
            if self.file.exists():
                self.file.with_name("was_slow").touch()
                time.sleep(1)
            return audio

    return Slow(Path(options.while_exists))
'''
CONFIG = """
studies: [wu2021_fig6]
trim:
  wu2021_fig6: {{recipe: [smoke], workers: [L], encoder: [pase], weighting: [equal], augmentation: [slow],
                dataset: [extended_ballroom], figure: null, comparisons: [], published: []}}
worker_sets: {{L: [lps]}}
augmentations: {{slow: {{while_exists: "{file}"}}}}
recipes: {{smoke: {{epochs: 2, steps_per_epoch: 60, save_state_seconds: 3600}}}}
"""
RUN = "results/smoke/pretrained/audioset_music/pase/L/equal/slow/smoke/seed0"
RESOURCES = ("gpu=0", "gres=gpu:1", "mem_mb=4000", "runtime=10 * attempt", "slurm_extra=--signal=USR1@10")
MIN_SECONDS_LEFT = 15  # until the new limit; the warning comes 10 to 40 s before the limit


def shorten(job: Job, *, started: float) -> None:
    """Lower the time limit of a job that has run since `started` to the next whole minute, SLURM's unit."""
    minutes = int((time.monotonic() - started + MIN_SECONDS_LEFT) // 60) + 1
    subprocess.run(["scontrol", "update", f"jobid={job.number}", f"timelimit={minutes}"], check=True)


def test_the_trainer_resumes_after_its_time_limit_and_a_cancellation(tmp_path: Path) -> None:
    folder, slow_file = copy_repository(tmp_path / "prelude"), tmp_path / "slow"
    (folder / "workflow_scripts/augmentations/slow.py").write_text(SLOW_AUGMENTATION)
    (folder / "slow.yaml").write_text(CONFIG.format(file=slow_file))
    config = ("--configfile", "config/smoke.yaml", "slow.yaml")
    run_locally(folder, "results/smoke/corpora/audioset_music/16000/corpus.json", *config)
    resources = [f"pretrain:{resource}" for resource in RESOURCES]
    target = f"{RUN}/encoder.safetensors"
    workflow = make_workflow(folder, target, *config, "--set-resources", *resources)

    slow_file.touch()
    workflow.start()
    comment = f"rule_pretrain_wildcards_{RUN.partition('pretrained/')[2].replace('/', '_').replace('seed', '')}"
    first, started = workflow.wait_for_running(comment), time.monotonic()
    slurm.wait_until(
        slow_file.with_name("was_slow").exists,
        lambda: f"the trainer does not start: {workflow.log}",
        seconds=TIMEOUT_SECONDS,
    )
    shorten(first, started=started)
    slurm.wait_until(
        lambda: "stopped by SIGUSR1 after step" in workflow.log, "the trainer is not warned", seconds=TIMEOUT_SECONDS
    )
    second = workflow.wait_for_running(comment)
    log = folder / "results/smoke/logs/pretrain" / f"{RUN.partition('pretrained/')[2]}.log"
    slurm.wait_until(
        lambda: log.exists() and "resuming at step" in log.read_text(),
        "the trainer does not resume",
        seconds=TIMEOUT_SECONDS,
    )
    time.sleep(2)  # some steps
    slurm.run("scancel", second.number)
    slurm.wait_until(
        lambda: "stopped by SIGTERM after step" in workflow.log,
        "the trainer does not save its state",
        seconds=TIMEOUT_SECONDS,
    )
    slow_file.unlink()
    assert workflow.finish(), workflow.log
    assert json.loads((folder / RUN / "record.json").read_text())["resumed"] == 2

    disturbed = folder / "disturbed"
    shutil.move(folder / RUN, disturbed)
    run_locally(folder, target, *config, "--set-threads", "pretrain=1")
    for name in ("encoder.safetensors", "losses.csv"):
        assert (folder / RUN / name).read_bytes() == (disturbed / name).read_bytes(), name
