"""Tables, figures and report of a run that failed, from its finished jobs.

They are written to a folder of their own, which Snakemake does not know, so they do not affect the next run. The next
complete report removes them.
"""

import subprocess

UNFINISHED = Path(PLAN.layout.unfinished)


def make_unfinished():
    """Run the last steps on the finished jobs; a step that fails does not stop the others."""
    folders = {
        name: str(UNFINISHED / name) for name in ("statistics", "tables", "figures")
    }
    manifest = f"{folders['statistics']}/plan.json"
    read = ["--manifest", manifest, "--statistics", folders["statistics"]]
    page = str(UNFINISHED / "report" / "index.html")
    steps = [
        ["plan", "--config", CONFIG_JSON, "--output", manifest, "--unfinished"]
        + shlex.split(CONFIG_FLAGS),
        ["aggregate", "--manifest", manifest, "--output", folders["statistics"]],
        ["tabulate", *read, "--output", folders["tables"]],
        ["draw", *read, "--output", folders["figures"]],
        ["compose", *read, "--figures", folders["figures"], "--output", page],
    ]
    UNFINISHED.mkdir(parents=True, exist_ok=True)
    with open(UNFINISHED / "log.txt", "w", encoding="utf-8") as log:
        for verb, *arguments in steps:
            command = [sys.executable, "-m", f"workflow_scripts.{verb}", *arguments]
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    outcome = page if Path(page).is_file() else f"failed, see {log.name}"
    print(f"Report of the finished jobs: {outcome}", file=sys.stderr)


onerror:
    # Without any trials there is nothing to report.
    if any(cell.path.is_file() for cell in MANIFEST.cells):
        make_unfinished()
