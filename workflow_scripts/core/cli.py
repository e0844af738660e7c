"""Command lines: the arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def command_parser(name: str, documentation: str | None) -> argparse.ArgumentParser:
    """Return the parser of a command, whose help is the documentation of its module."""
    return argparse.ArgumentParser(
        prog=f"python -m workflow_scripts.{name}",
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def job_parser(
    name: str,
    documentation: str | None,
    *,
    config: Callable[[str], object],
    output: str,
    threads: int | None = None,
) -> argparse.ArgumentParser:
    """Return the parser of a command that runs the job of a rule: `--config`, `--code`, `--output`, `--threads`.

    `config` reads the JSON of `--config`, `output` describes what is written there, and `threads` is the default of
    `--threads`; None: the command has one thread.
    """
    parser = command_parser(name, documentation)
    parser.add_argument(
        "--config", type=config, required=True, metavar="JSON", help="all that the job reads of a config"
    )
    parser.add_argument("--code", required=True, metavar="DIGEST", help="digest of the job's code, for its record")
    parser.add_argument("--output", type=Path, required=True, help=output)
    if threads is not None:
        default = threads or "torch's choice"
        parser.add_argument("--threads", type=int, default=threads, help=f"CPU threads or processes ({default})")
    return parser


def results_parser(name: str, documentation: str | None, *, statistics: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a command that reads results: `--manifest` and, unless it writes them, `--statistics`."""
    parser = command_parser(name, documentation)
    parser.add_argument("--manifest", required=True, help='manifest, a JSON file ("-": standard input)')
    if statistics:
        parser.add_argument("--statistics", type=Path, required=True, help="folder written by aggregate")
    return parser


def add_studies(parser: argparse.ArgumentParser) -> None:
    """Add `--study`, which selects studies by name."""
    parser.add_argument("--study", action="append", default=[], help="only this study (repeatable; default: all)")


def add_configfiles(parser: argparse.ArgumentParser) -> None:
    """Add `--configfile`, the files over the default config."""
    parser.add_argument(
        "--configfile", type=Path, nargs="+", default=[], metavar="FILE", help="files over config/config.yaml, in order"
    )
