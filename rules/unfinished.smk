"""Tables, figures and report of a run that failed, from its finished jobs.

They are written to a folder of their own, which Snakemake does not know, so they do not affect the next run. The next
complete report removes them.
"""

import subprocess

UNFINISHED = Layout(data=PLAN.layout.data, results=PLAN.layout.unfinished)


def make_unfinished():
    """Run the last steps on the finished jobs; a step that fails does not stop the others."""
    manifest = f"{UNFINISHED.statistics}/{STATISTICS_FILES['manifest']}"
    read = ["--manifest", manifest, "--statistics", UNFINISHED.statistics]
    steps = [
        ["plan", "--config", CONFIG_JSON, "--output", manifest, "--unfinished"]
        + shlex.split(CONFIG_FLAGS),
        ["aggregate", "--manifest", manifest, "--output", UNFINISHED.statistics],
        ["tabulate", *read, "--output", UNFINISHED.tables],
        ["draw", *read, "--output", UNFINISHED.figures],
        ["compose", *read, "--figures", UNFINISHED.figures]
        + ["--output", str(Path(UNFINISHED.report).parent)],
    ]
    folder = Path(UNFINISHED.results)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        for verb, *arguments in steps:
            command = [sys.executable, "-m", f"workflow_scripts.{verb}", *arguments]
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    outcome = (
        UNFINISHED.report
        if Path(UNFINISHED.report).is_file()
        else f"failed, see {log.name}"
    )
    print(f"Report of the finished jobs: {outcome}", file=sys.stderr)


def print_failures():
    """Print the failed jobs with reasons and logs, as the command `status` does."""
    # Imported here, because it takes longer than all of planning.
    from workflow_scripts.core.escapes import printable
    from workflow_scripts.report.status import describe_failures

    lines = [printable(line, keep="\n") for line in describe_failures(MANIFEST)]
    if lines:
        print("Failed jobs:", *lines, sep="\n", file=sys.stderr)


onerror:
    # Without any trials there is nothing to report.
    if any(cell.path.is_file() for cell in MANIFEST.cells):
        make_unfinished()
    print_failures()
