"""The real trainer on the cluster: warned before its time is up, cancelled, and each time it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.prelude import copied, locally, on_the_cluster
from tests.cluster.workflow import PATIENCE, Job

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

#: an augmentation that changes nothing, but takes its time while a file is there, and says so in another
DAWDLE = '''
"""Takes its time."""

import time
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.networks.interfaces import Augmentation


@dataclass(frozen=True, kw_only=True)
class Options:
    while_there: str = ""


class Dawdle(Augmentation):
    def __init__(self, file):
        self.file = file

    def __call__(self, audio, *, generator):
        if self.file.exists():
            self.file.with_name("dawdled").touch()
            time.sleep(1)
        return audio


def build(options, **_):
    return Dawdle(Path(options.while_there))
'''
CONFIG = """
studies: [wu2021_fig6]
trim:
  wu2021_fig6: {{recipe: [smoke], workers: [L], encoder: [pase], weighting: [equal], augmentation: [dawdle],
                dataset: [extended_ballroom], figure: null, comparisons: [], published: []}}
worker_sets: {{L: [lps]}}
augmentations: {{dawdle: {{while_there: "{file}"}}}}
recipes: {{smoke: {{epochs: 2, steps_per_epoch: 60, checkpoint_seconds: 3600}}}}
"""
RUN = "results/smoke/pretrained/audioset_music/pase/L/equal/dawdle/smoke/seed0"
RESOURCES = ("gpu=0", "gres=gpu:1", "mem_mb=4000", "runtime=10 * attempt", "slurm_extra=--signal=USR1@10")
LEAST_LEFT = 15  # seconds from now to the new limit, of which the warning comes 10 to 40 s before


def shorten(job: Job, *, started: float) -> None:
    """Lower the limit of a job that has run since `started` to the next whole minute, as no other is possible."""
    minutes = int((time.monotonic() - started + LEAST_LEFT) // 60) + 1
    subprocess.run(["scontrol", "update", f"jobid={job.number}", f"timelimit={minutes}"], check=True)


def test_out_of_time_and_cancelled_the_trainer_goes_on(tmp_path: Path) -> None:
    folder, dawdles = copied(tmp_path / "prelude"), tmp_path / "dawdles"
    (folder / "workflow_scripts/augmentations/dawdle.py").write_text(DAWDLE)
    (folder / "dawdle.yaml").write_text(CONFIG.format(file=dawdles))
    config = ("--configfile", "config/smoke.yaml", "dawdle.yaml")
    locally(folder, "results/smoke/corpora/audioset_music/16000/corpus.json", *config)
    resources = [f"pretrain:{each}" for each in RESOURCES]
    target = f"{RUN}/encoder.safetensors"
    workflow = on_the_cluster(folder, target, *config, "--set-resources", *resources)

    dawdles.touch()
    workflow.start()
    comment = f"rule_pretrain_wildcards_{RUN.partition('pretrained/')[2].replace('/', '_').replace('seed', '')}"
    first, started = workflow.running(comment), time.monotonic()
    slurm.wait(dawdles.with_name("dawdled").exists, lambda: f"it does not start: {workflow.log}", seconds=PATIENCE)
    shorten(first, started=started)
    slurm.wait(lambda: "stopped by SIGUSR1 after step" in workflow.log, "it is not warned", seconds=PATIENCE)
    second = workflow.running(comment)
    log = folder / "results/smoke/logs/pretrain" / f"{RUN.partition('pretrained/')[2]}.log"
    slurm.wait(lambda: log.exists() and "resuming at step" in log.read_text(), "it does not resume", seconds=PATIENCE)
    time.sleep(2)  # some steps
    slurm.run("scancel", second.number)
    slurm.wait(lambda: "stopped by SIGTERM after step" in workflow.log, "it does not save", seconds=PATIENCE)
    dawdles.unlink()
    assert workflow.ends(), workflow.log
    assert json.loads((folder / RUN / "record.json").read_text())["resumed"] == 2

    disturbed = folder / "disturbed"
    shutil.move(folder / RUN, disturbed)
    locally(folder, target, *config, "--set-threads", "pretrain=1")
    for name in ("encoder.safetensors", "losses.csv"):
        assert (folder / RUN / name).read_bytes() == (disturbed / name).read_bytes(), name
