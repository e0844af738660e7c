"""Fetch the weights of a model of timm into the cache that later jobs read without a network.

    python -m workflow_scripts.fetch_weights --config JSON --code DIGEST --output FILE

The cache is that of Hugging Face, wherever HF_HUB_CACHE says; FILE notes that the model is there.
"""

from __future__ import annotations

import argparse
import os

from workflow_scripts.configuration.jobs.fetch_weights import FetchWeightsConfig
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import hold_output, write_json
from workflow_scripts.sources.connection import WHERE_INTERNET_IS, certificate_variables, describe_foreign


def main(argv: list[str] | None = None) -> None:
    """Fetch the weights of one model."""
    arguments = _parser().parse_args(argv)
    config: FetchWeightsConfig = arguments.config
    with hold_output(arguments.output):
        _fetch(config.model)
        write_json(arguments.output, config.to_plain())


def _fetch(model: str) -> None:
    """Let timm fetch the weights; `UserError` if it cannot."""
    os.environ.update(certificate_variables())
    import timm  # noqa: PLC0415  (seconds, after the config was read)

    try:
        timm.create_model(model, pretrained=True)
    except Exception as error:  # timm's ways to the network fail in many ways
        raise UserError(
            f"weights of {model} could not be fetched ({describe_foreign(error)}): {WHERE_INTERNET_IS}, or state "
            "heads.<name>.checkpoint, a file of them"
        ) from error


def _parser() -> argparse.ArgumentParser:
    return job_parser("fetch_weights", __doc__, config=FetchWeightsConfig.from_json, output="note to write")


if __name__ == "__main__":
    run_command(main)
