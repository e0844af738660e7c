"""Config files on Snakemake's command line, checked before Snakemake reads them: the profiles call this.

Snakemake takes every name behind --configfile for a config file, targets too, and ends in a traceback for one that is
missing or no YAML.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.configuration.yaml_files import SUFFIXES, read_yaml
from workflow_scripts.core.errors import UserError, run_command

FLAGS = ("--configfile", "--configfiles")


def check_configfiles(arguments: Sequence[str]) -> None:
    """Exit with one line on stderr unless all names behind `--configfile` are config files that can be read."""
    run_command(lambda: _check(arguments))


def _check(arguments: Sequence[str]) -> None:
    for name in _configfiles(arguments):
        if not name.endswith(SUFFIXES):
            raise UserError(
                f"{name} follows --configfile but is no config file ({' or '.join(SUFFIXES)}): put targets "
                f"before it, as in: snakemake {name} --configfile FILE"
            )
        read_yaml(Path(name))


def _configfiles(arguments: Sequence[str]) -> Iterator[str]:
    for place, argument in enumerate(arguments):
        flag, equals, name = argument.partition("=")
        if flag in FLAGS:
            behind = itertools.takewhile(lambda other: not other.startswith("-"), arguments[place + 1 :])
            yield from [name] if equals else behind
