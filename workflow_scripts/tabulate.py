"""Write the table of each study (csv, md, tex, html) and its comparisons (csv); `index.md` lists all tables.

`reproduction.csv`, `.md`, `.tex` and `.html` compare every published number and claim with ours. `separation.csv` holds
the separation quality, in dB, of the encoders that learn to separate sources. Equal statistics give equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.core.cli import add_studies, results_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Study, read_manifest
from workflow_scripts.report import labels, renderers, reproduction_render, reproduction_table, separation, study_table
from workflow_scripts.statistics.reproduction.table import read_reproduction
from workflow_scripts.statistics.tables.schema import read_tables

SEPARATION = "separation.csv"


def main(argv: list[str] | None = None) -> None:
    """Write the tables of all studies."""
    parser = results_parser("tabulate", __doc__)
    add_studies(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/tables)")
    arguments = parser.parse_args(argv)

    manifest = read_manifest(arguments.manifest)
    labels.use_labels_of(manifest)
    numbers, separation_table = read_tables(arguments.statistics), separation.tidy(manifest)
    for study in manifest.select(arguments.study):
        table = study_table.build(study, numbers)
        comparisons = study_table.tidy_comparisons(study, numbers["comparisons"], table)
        texts = {
            f"{study.name}.csv": study_table.tidy(study, numbers["entries"]).to_csv(index=False, lineterminator="\n"),
            f"{study.name}_comparisons.csv": comparisons.to_csv(index=False, lineterminator="\n"),
            f"{study.name}.md": renderers.markdown(table),
            f"{study.name}.tex": renderers.latex(table),
            f"{study.name}.html": renderers.html(table),
        }
        for name, text in texts.items():
            write_text(arguments.output / name, text)
    published = read_reproduction(arguments.statistics / STATISTICS_FILES["reproduction"])
    reproduction = reproduction_table.build(published)
    texts = {
        "csv": reproduction_table.tidy(published).to_csv(index=False, lineterminator="\n"),
        "md": reproduction_render.markdown(reproduction),
        "tex": reproduction_render.latex(reproduction),
        "html": reproduction_render.html(reproduction),
    }
    for kind, text in texts.items():
        write_text(arguments.output / f"reproduction.{kind}", text)
    if separation_table is not None:
        write_text(arguments.output / SEPARATION, separation_table.to_csv(index=False, lineterminator="\n"))
    write_text(arguments.output / "index.md", _index(manifest.studies, has_separation=separation_table is not None))


def _index(studies: tuple[Study, ...], *, has_separation: bool) -> str:
    """Return a list of all tables with links."""
    tables = [*((study.title, study.name) for study in studies), (reproduction_table.TITLE, "reproduction")]
    lines = [
        f"- {title}: " + ", ".join(f"[{kind}]({name}.{kind})" for kind in ("md", "html", "tex", "csv"))
        for title, name in tables
    ]
    if has_separation:
        lines.append(f"- Separation quality: [csv]({SEPARATION})")
    return "\n".join(["# Tables", "", *lines]) + "\n"


if __name__ == "__main__":
    run_command(main)
