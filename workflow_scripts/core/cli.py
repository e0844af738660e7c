"""Command lines: the arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol


class Config(Protocol):
    """Config of a job."""

    def require_planned(self, code: str, *, command: str) -> None:
        """Raise `UserError` if the code of the job's command is not the one that was planned as `code`."""


class JobParser(argparse.ArgumentParser):
    """Parser of a command that runs the job of a rule."""

    def __init__(self, *, command: str, **settings: Any) -> None:
        """Take the module of the command."""
        super().__init__(**settings)
        self.command = command

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse a command line; raise `UserError` if the code is not the one that was planned."""
        arguments = super().parse_args(args, namespace)
        config: Config = arguments.config
        config.require_planned(arguments.code, command=self.command)
        return arguments


def command_parser(name: str, documentation: str | None) -> argparse.ArgumentParser:
    """Return the parser of a command, whose help is the documentation of its module."""
    return argparse.ArgumentParser(**_settings(name, documentation))


def _settings(name: str, documentation: str | None) -> dict[str, Any]:
    return {
        "prog": f"python -m workflow_scripts.{name}",
        "description": documentation,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def add_code(parser: argparse.ArgumentParser) -> None:
    """Add `--code`, the planned digest of the command's code."""
    parser.add_argument("--code", default="", metavar="DIGEST", help="planned digest: other code is refused")


def job_parser(
    name: str,
    documentation: str | None,
    *,
    config: Callable[[str], Config],
    output: str,
    threads: int | None = None,
) -> JobParser:
    """Return the parser of a command that runs the job of a rule: `--config`, `--code`, `--output`, `--threads`.

    `config` reads the JSON of `--config`, `output` describes what is written there, and `threads` is the default of
    `--threads`; None: the command has one thread.
    """
    parser = JobParser(command=name, **_settings(name, documentation))
    parser.add_argument(
        "--config", type=config, required=True, metavar="JSON", help="all that the job reads of a config"
    )
    parser.add_argument("--code", required=True, metavar="DIGEST", help="planned digest: other code is refused")
    parser.add_argument("--output", type=Path, required=True, help=output)
    if threads is not None:
        default = threads or "torch's choice"
        parser.add_argument("--threads", type=int, default=threads, help=f"CPU threads or processes ({default})")
    return parser


def results_parser(name: str, documentation: str | None, *, statistics: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a command that reads results: `--manifest` and, unless it writes them, `--statistics`."""
    parser = command_parser(name, documentation)
    parser.add_argument("--manifest", required=True, help='manifest, a JSON file ("-": standard input)')
    add_code(parser)
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
