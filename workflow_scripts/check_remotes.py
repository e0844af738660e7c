"""Ask every address that a config may download from for its headers, and show what answers.

    python -m workflow_scripts.check_remotes [--configfile FILE ...]

Nothing is downloaded. The addresses are those of all data sets of the config, whatever their source, and of the mirrors
in `sources`. The exit code is 2 if an address does not answer, or states another length than is known of its file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.load import load
from workflow_scripts.core.cli import add_configfiles, command_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.escapes import printable
from workflow_scripts.levels import dataset_facts
from workflow_scripts.sources.connection import PublicSession
from workflow_scripts.sources.remote_headers import Headers, ask_headers
from workflow_scripts.sources.remotes import Remote

CONFIG_FOLDER = Path(__file__).parent.parent / "config"


@dataclass(frozen=True, kw_only=True)
class Address:
    """An address, the data set that needs it, and the length that is known of its file."""

    url: str
    dataset: str
    bytes: int | None


def main(argv: list[str] | None = None) -> None:
    """Ask all addresses, one after the other. Raises `UserError` if some do not answer as expected."""
    parser = command_parser("check_remotes", __doc__)
    add_configfiles(parser)
    arguments: argparse.Namespace = parser.parse_args(argv)
    config, _ = load([CONFIG_FOLDER / "config.yaml", *arguments.configfile], folder=CONFIG_FOLDER)
    addresses, failed = list_addresses(config), 0
    with PublicSession() as session:
        for address in addresses:
            answer = ask_headers(address.url, session)
            line, is_expected = describe_answer(address, answer)
            failed += not is_expected
            print(printable(line), flush=True)
    if failed:
        raise UserError(f"{failed} of {len(addresses)} addresses do not answer as expected: see docs/data.md")


def list_addresses(config: Config) -> list[Address]:
    """Return the addresses of all data sets, each once."""
    addresses: dict[str, Address] = {}
    for dataset in config.datasets:
        level = config.level("dataset", dataset)
        remotes: list[Remote] = list(dataset_facts.remotes(level.module, level.options).values())
        source = config.sources.get(dataset)
        for remote in remotes:
            for file in (remote, *remote.parts):
                mirrors = source.addresses_of(file.name, is_only=len(remotes) == 1) if source else ()
                for url in [*mirrors, *([] if file.parts else [file.url])]:
                    addresses.setdefault(url, Address(url=url, dataset=dataset, bytes=file.bytes))
    return list(addresses.values())


def describe_answer(address: Address, answer: Headers) -> tuple[str, bool]:
    """Return the line on an answer, and whether it is as expected."""
    if answer.fault:
        return f"FAILS    {address.url} ({address.dataset}): {answer.fault.removeprefix(f'{address.url}: ')}", False
    size = "no length stated" if answer.bytes is None else f"{answer.bytes:,} bytes"
    is_expected = address.bytes is None or answer.bytes in (None, address.bytes)
    differs = "" if is_expected else f", not the {address.bytes:,} known"
    word, resumes = "answers" if is_expected else "DIFFERS", "" if answer.has_ranges else ", may not be resumed"
    return f"{word}  {address.url} ({address.dataset}): {size}{differs}{resumes}", is_expected


if __name__ == "__main__":
    run_command(main)
