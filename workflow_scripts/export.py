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
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.checkpoints.export_encoder import (
    ExportedEncoder,
    clear_export,
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
from workflow_scripts.report.model_card import OTHER, ModelCard
from workflow_scripts.statistics.tables.schema import CELL_COLUMNS, read_table

LICENSE_FILE = "LICENSE"
NO_CELLS = pd.DataFrame({"status": []})


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the results say of an encoder: its rows of the table of cells, and the data that it learned from.

    `corpus_source` is twin, local or download; empty if it is not known. `published` is the file that was imported.
    """

    cells: pd.DataFrame
    corpus: str = NONE
    corpus_source: str = ""
    published: str = ""


def main(argv: list[str] | None = None) -> None:
    """Export one encoder."""
    arguments = _parser().parse_args(argv)
    if arguments.run is not None:
        encoder, results = ExportedEncoder.from_file(arguments.run / ENCODER), _read_results(arguments.run)
    else:
        options = parse_options(arguments.options)
        encoder = ExportedEncoder.untrained(arguments.encoder, options, seed=arguments.seed)
        results = Results(cells=NO_CELLS)
    level = registry.load("encoder", encoder.name)
    if registry.fact(level, "EXTERNAL"):
        raise UserError(f"the network of {encoder.name} is not part of Prelude: pass on its own files instead")
    package = arguments.name or f"prelude_{encoder.name}"
    if not package.isidentifier():
        raise UserError(f"--name: {package!r} is no name of a Python module: use letters, digits and _")
    folder: Path = arguments.to
    clear_export(folder)
    facts = encoder.facts()
    if arguments.hear:
        shortest = int(MIN_SECONDS * encoder.network.sample_rate)
        facts |= write_hear_package(folder, encoder, package=package, shortest=shortest)
    if arguments.onnx:
        facts |= write_onnx(folder, encoder)
    write_weights(folder, encoder, facts)
    shutil.copyfile(PACKAGE.parent / LICENSE_FILE, folder / LICENSE_FILE)
    card = ModelCard(
        title=f"{level.LABEL}, {results.corpus}" if results.corpus != NONE else f"{level.LABEL}, not trained",
        license=arguments.license,
        facts=facts,
        corpus=results.corpus,
        corpus_source=results.corpus_source,
        data_license=_license_of(results.corpus),
        published=results.published,
        cells=results.cells,
    )
    write_text(folder / "README.md", card.render())
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _read_results(run: Path) -> Results:
    """Return what the record and the tables say of the encoder in a folder; a note tells where there are no tables."""
    record = read_record(run / RECORD)
    config, published = record["config"], (record.get("checkpoint") or {}).get("file", "")
    corpus = config.get("corpus") or config.get("checkpoint") or config.get("factors", {}).get("corpus") or NONE
    parts = run.resolve().parts
    for factors in (PRETRAINING, FACTORS):  # of a run, of a cell: as many parts has the path in the results
        statistics = Path(*parts[: -len(factors) - 1]) / STATISTICS_FOLDER
        if not (statistics / STATISTICS_FILES["cells"]).is_file():
            continue
        cells = read_table(statistics / STATISTICS_FILES["cells"], columns=CELL_COLUMNS)
        entries = read_table(statistics / STATISTICS_FILES["entries"])
        path = "/".join(parts[-len(factors) :])
        own = [_path_of(row, factors) == path for row in cells[list(factors)].to_dict("records")]
        sources = entries.loc[entries["corpus"] == corpus, "corpus_source"].dropna()
        return Results(cells=cells[own], corpus=corpus, corpus_source=next(iter(sources), ""), published=published)
    print(format_message(f"{NOTE}no tables of results beside {run}: the card has no numbers"), file=sys.stderr)
    return Results(cells=NO_CELLS, corpus=corpus, published=published)


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
    parser.add_argument("--options", default="{}", metavar="JSON", help="options of --encoder")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights of --encoder")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--hear", action="store_true", help="add a package with the interface of HEAR")
    parser.add_argument("--onnx", action="store_true", help="add an ONNX file (needs the extra onnx)")
    parser.add_argument("--license", default=OTHER, metavar="ID", help="licence of the weights, as hubs call it")
    parser.add_argument("--name", help="name of the package (prelude_ and the encoder)")
    return parser


if __name__ == "__main__":
    run_command(main)
