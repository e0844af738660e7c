"""Definitions that every rule uses: the plan, path variables, params of jobs, and the command line of scripts."""

import json
import os
import shlex
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from snakemake.settings.types import DeploymentMethod, RerunTrigger

from workflow_scripts.audio import quarantine_limit
from workflow_scripts.configuration import outside_paths
from workflow_scripts.configuration.load import load
from workflow_scripts.core import job_client, provenance, result_files
from workflow_scripts.core.errors import UserError, format_message
from workflow_scripts.levels import factors, registry
from workflow_scripts.planning.build_manifest import build_manifest, figure_inputs
from workflow_scripts.planning.cell_lists import CellLists
from workflow_scripts.planning.downloads import (
    describe_downloads,
    downloaded_datasets,
)
from workflow_scripts.planning.layout import (
    FIGURE_FORMATS,
    STATISTICS_FILES,
    TABLE_FORMATS,
    Layout,
)
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import CellKey, Run, audio_of
from workflow_scripts.slurm import plugin_patch
from workflow_scripts.sources import shared_downloads
from workflow_scripts.statistics.reproduction.statements import load_statements

# Scripts are modules of this checkout, whatever the working directory.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
)

# Memory pages of 2 MB instead of 4 kB speed up the allocation of tensors in training steps on CPUs.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# In the order of merging: Snakemake lists the Snakefile's own file last, although the given ones override it.
CONFIG_FILES = [
    Path(file) for file in [workflow.configfiles[-1], *workflow.configfiles[:-1]]
]

try:
    CONFIG, STUDIES = load(CONFIG_FILES, folder=ROOT / "config", merged=config)
    PLAN = Plan(
        CONFIG, STUDIES, load_statements(STUDIES, CONFIG, folder=ROOT / "config")
    )
    PLAN.cells  # a level that lacks a fact is reported now, not during a run
    plugin_patch.patch_plugin()
except UserError as error:
    sys.exit(format_message(error))

# Environment variables, not params: another limit for broken clips, another use of a corpus, or another source of an
# archive, does not run any job again.
os.environ[quarantine_limit.SHARES_VARIABLE] = json.dumps(PLAN.largest_shares)
os.environ[quarantine_limit.SPLITS_VARIABLE] = json.dumps(PLAN.needed_splits)
os.environ[shared_downloads.VARIABLE] = describe_downloads(PLAN)

# One rule fetches weights that heads start from, where there is internet; the jobs that read them never ask a host.
os.environ.setdefault("HF_HUB_CACHE", str(Path(PLAN.layout.weights_cache).absolute()))
os.environ["HF_HUB_OFFLINE"] = "1"

# GPU jobs run one at a time on a machine with a GPU; without one the resource limits nothing.
GPU = int(Path("/dev/nvidiactl").exists())

# With the profile apptainer jobs run in an image, which has a Python of its own.
IN_IMAGE = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
IMAGE = ROOT / "containers/prelude.sif"
INTERPRETER = "python3" if IN_IMAGE else sys.executable

# Rules that do the same work take the resources and threads that a profile states for the first.
SAME_WORK = {
    "evaluate_embeddings_again": "evaluate_embeddings",
    "evaluate_cell": "evaluate_embeddings",
}
for kind in ("overwrite_resources", "overwrite_threads"):
    stated = dict(getattr(workflow.resource_settings, kind))
    same = {rule: stated[first] for rule, first in SAME_WORK.items() if first in stated}
    setattr(workflow.resource_settings, kind, {**same, **stated})

PYTHON = f"{shlex.quote(INTERPRETER)} -m workflow_scripts"

# For scripts that import torch: on this machine they are forks of one process that has imported it.
JOB = shlex.join([INTERPRETER, "-I", "-S", job_client.__file__])

if IN_IMAGE:

    # Not without the profile: Snakemake would print for each run that it ignores the image.
    container: str(IMAGE)

    try:
        if workflow.is_main_process and not IMAGE.exists():
            raise UserError(
                f"{IMAGE} is missing: build the image, or link to it (docs/slurm.md)"
            )
        outside_paths.bind(
            [
                CONFIG.model_dump(mode="json"),
                str(ROOT),
                os.path.expandvars(f"{CONFIG.stage}"),
            ]
        )
    except UserError as error:
        sys.exit(format_message(error))


# An image runs no job again, nor does its absence: digests alone say what is out of date.
type(workflow).rerun_triggers = property(
    lambda own: own.dag_settings.rerun_triggers - {RerunTrigger.SOFTWARE_ENV}
)

# Before the commands of jobs, and in none of them, so that copies on the nodes' disks run no job again.
if CONFIG.stage:
    JOB = f"{PYTHON}.stage {shlex.quote('' if CONFIG.stage is True else CONFIG.stage)} {JOB}"


def scenarios(*, train_encoder):
    """Return a pattern of the scenarios that do, or do not, train the encoder."""
    return "|".join(
        name
        for name in registry.names("scenario")
        if registry.load("scenario", name).TRAINS_ENCODER is train_encoder
    )


SEGMENT = "[^/]+"  # of a path


def segments(factors, **patterns):
    """Return a path of wildcards; `patterns` are those of some of them, others match any segment.

    Snakemake's `wildcard_constraints` do not reach the wildcards of path variables, which would match slashes; a match
    would then try all of them, which was a third of the time of planning.
    """
    patterns = {"pretrain_seed": r"\d+", **patterns}
    parts = [f"{{{factor},{patterns.get(factor, SEGMENT)}}}" for factor in factors]
    return "/".join(parts).replace("{pretrain_seed", "seed{pretrain_seed")


pathvars:
    data=PLAN.layout.data,
    results=PLAN.layout.results,
    logs=f"{PLAN.layout.results}/logs",
    statistics=PLAN.layout.statistics,
    tables=PLAN.layout.tables,
    figures=PLAN.layout.figures,
    run=segments(factors.PRETRAINING),
    # The same path without imported and untrained runs.
    run_trained_here=segments(factors.PRETRAINING, workers=f"(?!none/){SEGMENT}"),
    run_imported=f"{{corpus,{SEGMENT}}}/{{encoder,{SEGMENT}}}/none/none/none/none/seed0",
    cell=segments(factors.DOWNSTREAM),
    # The same path, for one of the two rules that evaluate.
    cell_on_embeddings=segments(
        factors.DOWNSTREAM, scenario=scenarios(train_encoder=False)
    ),
    cell_with_encoder=segments(
        factors.DOWNSTREAM, scenario=scenarios(train_encoder=True)
    ),


wildcard_constraints:
    corpus=SEGMENT,
    dataset=SEGMENT,
    group=r"\d+",
    model=SEGMENT,
    package=SEGMENT,
    study=SEGMENT,
    worker=SEGMENT,
    sample_rate=r"\d+",


def run_of(wildcards):
    """Return the run that a job's wildcards name."""
    return Run(
        **{factor: wildcards[factor] for factor in factors.PRETRAINING[:-1]},
        pretrain_seed=int(wildcards.pretrain_seed),
    )


def imported_run(wildcards):
    """Return the imported run that a job's wildcards name."""
    return Run.of_checkpoint(wildcards.corpus, encoder=wildcards.encoder)


def cell_of(wildcards):
    """Return the cell that a job's wildcards name."""
    return CellKey(**{factor: wildcards[factor] for factor in factors.DOWNSTREAM})


def corpus_of(dataset, run):
    """Return the facts file of the corpus that a run's encoder reads a data set from."""
    return PLAN.layout.corpus(dataset, PLAN.levels.sample_rate(run))


def job_params(job):
    """Return the params that decide whether a job must run again; `job` maps wildcards to a `JobSpec`."""
    return {
        "code": lambda wildcards: job(wildcards).code,
        "config": lambda wildcards: job(wildcards).config,
    }


def show(path, category, *, caption, htmlindex=None, **labels):
    """Mark a result for Snakemake's own report (`snakemake --report`), under a category and with a caption.

    `htmlindex` is the first page of a folder.
    """
    captions = f"{workflow.basedir}/rules/captions"
    return report(
        path,
        caption=f"{captions}/{caption}.rst",
        category=category,
        labels=labels,
        htmlindex=htmlindex,
    )
