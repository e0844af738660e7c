"""Export an encoder for use elsewhere: safetensors, `config.json`, a model card and, on request, a module and ONNX.

    python -m workflow_scripts.export --run RUN --to DIR [--hear] [--onnx] [--license ID] [--name NAME]
    python -m workflow_scripts.export --encoder NAME [--options JSON] [--seed N] --to DIR ...

RUN is the folder of a pre-trained or imported run (results/.../pretrained/...), or of a cell that keeps an encoder
(results/.../evaluations/...). `--encoder` exports an encoder as it starts, such as handcrafted features. The card has
the numbers of the tables of the same results, with their intervals. `--hear` adds a package with the interface of HEAR
that needs no Prelude, `--onnx` a file in that format, whose embeddings are compared with torch's.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.checkpoints.export_encoder import (
    ExportedEncoder,
    clear_export,
    write_facts,
    write_hear_package,
    write_onnx,
    write_weights,
)
from workflow_scripts.core.checksums import read_record
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.errors import NOTE, UserError, format_message, run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.core.json_options import parse_options
from workflow_scripts.core.result_files import ENCODER, RECORD
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.evaluation.embedding import MIN_SECONDS
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import DOWNSTREAM, FACTORS, NONE, PRETRAINING
from workflow_scripts.planning.layout import STATISTICS_FILES, STATISTICS_FOLDER
from workflow_scripts.planning.runs import CellKey, Run, path_of
from workflow_scripts.report.model_card import OTHER, ModelCard, TrainingSet
from workflow_scripts.statistics.tables.schema import CELL_COLUMNS, read_table

LICENSE_FILE = "LICENSE"
SEEDS = 2**63  # of torch


@dataclass(frozen=True, kw_only=True)
class Results:
    """Results of an encoder: its rows of the table of cells, and the data sets that it learned from.

    `published` is the file or name of the checkpoint that was imported, empty without.
    """

    cells: pd.DataFrame
    data: tuple[TrainingSet, ...] = ()
    published: str = ""


def main(argv: list[str] | None = None) -> None:
    """Export one encoder."""
    arguments = _parser().parse_args(argv)
    _check_license(arguments.license)
    if arguments.seed is not None and not 0 <= arguments.seed < SEEDS:
        raise UserError(f"--seed: {arguments.seed} is not allowed; allowed: 0 to 2^63 - 1")
    if arguments.run is not None:
        if (arguments.options, arguments.seed) != (None, None):
            raise UserError("--options and --seed are those of --encoder; a run has its own: leave them out")
        encoder, results = ExportedEncoder.from_file(arguments.run / ENCODER), _read_results(arguments.run)
    else:
        options = parse_options(arguments.options or "{}")
        encoder = ExportedEncoder.untrained(arguments.encoder, options, seed=arguments.seed or 0)
        results = Results(cells=_no_cells())
    package = arguments.name or f"prelude_{encoder.name}"
    _check_name(package)
    folder: Path = arguments.to
    clear_export(folder)
    facts = encoder.facts()
    write_facts(folder, facts)  # so that a later call knows the folder, should the rest fail
    if arguments.hear:
        shortest = int(MIN_SECONDS * encoder.network.sample_rate)
        facts |= write_hear_package(folder, encoder, package=package, shortest=shortest)
    if arguments.onnx:
        facts |= write_onnx(folder, encoder)
    write_weights(folder, encoder)
    write_facts(folder, facts)
    shutil.copyfile(PACKAGE.parent / LICENSE_FILE, folder / LICENSE_FILE)
    card = ModelCard(
        label=registry.load("encoder", encoder.name).LABEL,
        license=arguments.license,
        facts=facts,
        data=results.data,
        published=results.published,
        cells=results.cells,
    )
    write_text(folder / "README.md", card.render())
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _check_license(name: str) -> None:
    """Raise `UserError` unless a licence is one of the names that hubs read."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
        raise UserError(f"--license: {name!r} is no name that hubs read: state it as cc-by-4.0, mit or {OTHER}")


def _check_name(package: str) -> None:
    """Raise `UserError` unless a package of this name can be imported and hides no other."""
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UserError(f"--name: {package!r} is no name of a Python module: use letters, digits and _")
    if package in sys.stdlib_module_names or package in (PACKAGE.name, *packages_distributions()):
        raise UserError(f"--name: the export would hide the Python module {package}: choose another name")


def _read_results(run: Path) -> Results:
    """Return what the record and the tables say of the encoder in a folder."""
    record = read_record(run / RECORD)
    levels = record["config"].get("factors", {})  # of a cell
    if levels:
        corpus, labelled = levels["corpus"], levels["dataset"]
        is_imported = Run(**{factor: levels[factor] for factor in PRETRAINING}).is_imported
        published = corpus if is_imported else ""
    else:
        corpus, labelled = record["config"].get("corpus", NONE), NONE
        published = (record.get("checkpoint") or {}).get("file", "")
    cells, sources = _read_tables(run, FACTORS if levels else PRETRAINING)
    data = tuple(
        TrainingSet(name=name, has_labels=has_labels, source=sources.get(name, ""), license=_license_of(name))
        for name, has_labels in ((NONE if published else corpus, False), (labelled, True))
        if name != NONE
    )
    return Results(cells=cells, data=data, published=published)


def _read_tables(run: Path, factors: Sequence[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of a run or cell in the table of cells, and the source of each data set by its name.

    The path of the folder in the results has a part for each of `factors`. A note tells where there are no tables.
    """
    parts = run.resolve().parts
    statistics = Path(*parts[: -len(factors) - 1]) / STATISTICS_FOLDER
    if not (statistics / STATISTICS_FILES["cells"]).is_file():
        print(format_message(f"{NOTE}no tables of results beside {run}: the card has no numbers"), file=sys.stderr)
        return _no_cells(), {}
    cells = read_table(statistics / STATISTICS_FILES["cells"], columns=CELL_COLUMNS)
    path = "/".join(parts[-len(factors) :])
    own = [_path_of(row, factors) == path for row in cells[list(factors)].to_dict("records")]
    entries, sources = read_table(statistics / STATISTICS_FILES["entries"]), dict[str, str]()
    for name, source in (("dataset", "source"), ("corpus", "corpus_source")):
        stated = entries[[name, source]].dropna()
        sources |= dict(zip(stated[name], stated[source], strict=True))
    return cells[own], sources


def _no_cells() -> pd.DataFrame:
    return pd.DataFrame({"status": []})


def _path_of(levels: Mapping[Any, Any], factors: Sequence[str]) -> str:
    """Return the path of a run with these levels, or of one of its cells if there are levels of all factors."""
    run = Run(**{factor: levels[factor] for factor in PRETRAINING})
    return path_of(
        run, None if factors == PRETRAINING else CellKey(**{factor: levels[factor] for factor in DOWNSTREAM})
    )


def _license_of(corpus: str) -> str:
    """Return the licence of a data set; that of a folder is its owner's."""
    known = corpus in registry.names("dataset")
    return str(registry.load("dataset", corpus).LICENSE) if known else "that of its owner"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("export", __doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="folder of a run, or of a cell that keeps an encoder")
    source.add_argument("--encoder", metavar="NAME", help="level of an encoder that is not trained")
    parser.add_argument("--options", metavar="JSON", help="options of --encoder")
    parser.add_argument("--seed", type=int, help="seed of the initial weights of --encoder (0)")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--hear", action="store_true", help="add a package with the interface of HEAR")
    parser.add_argument("--onnx", action="store_true", help="add an ONNX file (needs the extra onnx)")
    parser.add_argument("--license", default=OTHER, metavar="ID", help="licence of the weights, as hubs call it")
    parser.add_argument("--name", help="name of the package (prelude_ and the encoder)")
    return parser


if __name__ == "__main__":
    run_command(main)
