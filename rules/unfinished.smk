"""Tables, figures and report of a run that failed, from what it had finished.

They are written beside the others: Snakemake knows nothing of them, so the next run makes its own as if they were not
there. The next whole report takes them away.
"""

import subprocess

UNFINISHED = Path(PLAN.layout.unfinished)


def make_unfinished():
    """Run the last steps on what there is; one that fails, as it may have in the run, leaves the others their turn."""
    folders = {
        name: str(UNFINISHED / name) for name in ("statistics", "tables", "figures")
    }
    plan = f"{folders['statistics']}/plan.json"
    read = ["--plan", plan, "--statistics", folders["statistics"]]
    page = str(UNFINISHED / "report" / "index.html")
    steps = [
        ["plan", "--config", CONFIG_JSON, "--output", plan, "--unfinished"]
        + shlex.split(CONFIG_FLAGS),
        ["aggregate", "--plan", plan, "--output", folders["statistics"]],
        ["tabulate", *read, "--output", folders["tables"]],
        ["draw", *read, "--output", folders["figures"]],
        ["compose", *read, "--figures", folders["figures"], "--output", page],
    ]
    UNFINISHED.mkdir(parents=True, exist_ok=True)
    with open(UNFINISHED / "log.txt", "w", encoding="utf-8") as log:
        for verb, *arguments in steps:
            command = [sys.executable, "-m", f"workflow_scripts.{verb}", *arguments]
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    made = page if Path(page).is_file() else f"not made, see {log.name}"
    print(f"Tables of what was finished: {made}", file=sys.stderr)


onerror:
    # Without any trials there is nothing to show.
    if any(evaluation.path.is_file() for evaluation in MANIFEST.evaluations):
        make_unfinished()
