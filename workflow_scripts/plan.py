"""Write the plan: every evaluation the studies need, with the digests its results must carry."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts import configuration, planning
from workflow_scripts.errors import run_command
from workflow_scripts.files import write_json

CONFIG_FOLDER = Path(__file__).parent.parent / "config"


def main(argv: list[str] | None = None) -> None:
    """Plan a config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the whole merged config, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="plan.json to write")
    arguments = parser.parse_args(argv)
    config = json.loads(arguments.config)
    studies = configuration.check(config, files=[], folder=CONFIG_FOLDER)
    write_json(arguments.output, planning.Plan(config, studies).summary())


if __name__ == "__main__":
    run_command(main)
