"""Show what a config will run and what it will cost, or write it as the plan that the statistics read.

    python -m workflow_scripts.plan [--configfile FILE ...] [--records FOLDER ...]
    python -m workflow_scripts.plan --config JSON --output FILE [--configfile FILE ...] [--unfinished]

The first form prints the jobs of each rule with the estimated hours and disk space. Estimates rest on the records of
jobs that were run: those below the config's own results and below the folders given. `config/pilot.yaml` makes
records for the paper's networks in minutes. The second form writes every evaluation the studies need, with the digests
its results must carry; it only notes the names of the files given with `--configfile`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from workflow_scripts.configuration import check
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_json
from workflow_scripts.planning import costs
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan
from workflow_scripts.statistics.reproduction import table as reproduction

CONFIG_FOLDER = Path(__file__).parent.parent / "config"
PLAIN_WIDTH = 120  # in a log file
GIGABYTE = 1e9


def main(argv: list[str] | None = None) -> None:
    """Plan a config."""
    arguments = _parser().parse_args(argv)
    for folder in arguments.records:
        if not folder.is_dir():
            raise UserError(f"--records {folder}: no such folder: name the results folder of a run, as results/pilot")
    files = [CONFIG_FOLDER / "config.yaml", *arguments.configfile]
    config = check.merged(files) if arguments.config is None else json.loads(arguments.config)
    checked = files if arguments.config is None else []
    studies = check.check(config, files=checked, folder=CONFIG_FOLDER)
    reproduction.check_statements(studies)
    plan = Plan(config, studies)
    if arguments.output is not None:
        names = [str(file) for file in arguments.configfile]
        manifest = build_manifest(plan, configfiles=names, unfinished=arguments.unfinished)
        write_json(arguments.output, manifest.to_json())
        return
    records, odd = costs.read_records(dict.fromkeys([Path(config["results"]), *arguments.records]))
    console = Console()
    _show(plan, records, console if console.is_terminal else Console(width=PLAIN_WIDTH))
    if odd:
        line = f"Records left out, damaged or of another version: {len(odd):,}, the first is {odd[0]}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _show(plan: Plan, records: list[costs.Measured], console: Console) -> None:
    table = Table(title=f"Scale {plan.config['scale']}: {', '.join(plan.studies)}", title_justify="left")
    for heading in ("Rule", "Jobs", "Hours", "Device", "Records", "Jobs not measured"):
        table.add_column(heading, justify="left" if heading in ("Rule", "Device") else "right")
    for each in costs.estimate(plan, records):
        hours = f"{each.hours:,.{1 if each.hours >= 10 else 2}f}" if each.records else ""
        table.add_row(each.rule, f"{each.jobs:,}", hours, each.device, f"{each.records:,}", f"{each.unknown or ''}")
    console.print(table)
    for part in costs.space(plan):
        unknown = f", and {part.unknown} of unknown size" if part.unknown else ""
        console.print(f"{part.what}: {part.size / GIGABYTE:,.2f} GB{unknown}", highlight=False)
    console.print(
        "Hours are those of one device, from the records of alike jobs; jobs without one are not counted. Trials in "
        "which the encoder learns are counted with all epochs they may take. Not in the space: downloads, predictions, "
        "encoders (4 bytes a parameter) and the state of each unfinished run (12 bytes a parameter, workers included). "
        "Jobs that have finished are counted too: a dry run of the workflow shows what is left.",
        style="dim",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", help="the whole merged config, as JSON")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="files that go over config/config.yaml")
    parser.add_argument(
        "--unfinished", action="store_true", help="note that the run failed: missing and stale results are no error"
    )
    parser.add_argument("--records", type=Path, nargs="+", default=[], help="results folders whose records are used")
    parser.add_argument("--output", type=Path, help="plan.json to write instead of showing the plan")
    return parser


if __name__ == "__main__":
    run_command(main)
