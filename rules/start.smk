"""Check what a run starts from, while the workflow is parsed and before the first job; start what serves all jobs."""

import shutil

from workflow_scripts.configuration.origin import ConfigOrigin
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core import job_server
from workflow_scripts.core.errors import NOTE
from workflow_scripts.core.memory import memory_limit
from workflow_scripts.planning.attempts import Journal
from workflow_scripts.planning.input_checks import Findings, check_inputs
from workflow_scripts.sources.local_copies import SECONDS_AT_START, describe_changes

FINDINGS = Findings()
if workflow.is_main_process:  # not again in every job
    FINDINGS = check_inputs(
        PLAN,
        ConfigOrigin([(file, read_yaml(file)) for file in CONFIG_FILES]),
        memory=memory_limit(),
    )
    # Where there is a cluster, jobs may have the memory of other machines: not known before the start.
    HAS_CLUSTER = shutil.which("sbatch") is not None
    for line in FINDINGS.lines(has_cluster=HAS_CLUSTER):
        print(format_message(line), file=sys.stderr)
    if FINDINGS.mistakes or (FINDINGS.oversized and not HAS_CLUSTER):
        sys.exit(2)

    # The command that reads changed data sets again has the profile and configs that were given.
    for line in describe_changes(
        PLAN,
        command=[".venv/bin/snakemake", *sys.argv[1:]],
        configs=CONFIG_FILES[1:],
        patience=SECONDS_AT_START,
    ):
        print(format_message(f"{NOTE}{line}"), file=sys.stderr)


onstart:
    # The first handler: it adds the reason to the log of a killed job before Snakemake shows that log.
    logger.handlers.insert(0, Journal(Path(PLAN.layout.journal)))
    plugin_patch.cancel_orphans(Path.cwd(), locks=workflow.execution_settings.lock)
    if logs := getattr(workflow.executor_settings, "logdir", None):
        plugin_patch.remove_empty_folders(Path(logs))
    # Now that the jobs are known, before the first of them: others may take hours until these fail.
    datasets = [
        job.wildcards.dataset
        for job in workflow.dag.needrun_jobs()
        if job.rule.name in ("acquire", "prepare")
    ]
    stops = FINDINGS.describe_copies(datasets)
    stops += FINDINGS.oversized if workflow.local_exec else []
    if stops:
        sys.exit(format_message(stops[0]))
    if workflow.local_exec and not IN_IMAGE:  # its jobs would run outside the image
        global JOB_SERVER  # its standard input stays open until Snakemake ends
        JOB_SERVER = job_server.start()
