"""Files that the page of a study offers: its tables, and its figure in other formats, copied into the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import table_files
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.site.inputs import ReportInputs

FOLDER = "files"
FIGURE_ENDINGS = ("pdf", "png", "csv")
# Bytes of a file of a figure: a longer one has values of many clips or filters. The site of all studies at smoke scale
# has 19 MB with this limit, and 23 MB without.
LARGEST = 400_000
#: heading of a file by the end of its name, with the name of its format
KINDS = {
    "_comparisons.csv": ("Comparisons", "csv"),
    ".csv": ("Table", "csv"),
    ".md": ("Table", "Markdown"),
    ".tex": ("Table", "LaTeX"),
}


@dataclass(frozen=True, kw_only=True)
class StudyFiles:
    """Content of the files by their path below the folder of the site, links by heading, and what is left out."""

    contents: Mapping[str, bytes]
    links: Mapping[str, Mapping[str, str]]  # paths by the name of their format or part
    omitted: tuple[str, ...]


def collect_files(study: Study, inputs: ReportInputs) -> StudyFiles:
    """Return the files of a study."""
    contents: dict[str, bytes] = {}
    links: dict[str, dict[str, str]] = {}
    table = inputs.tables[study.name]
    texts = {} if isinstance(table, Failure) else table_files.write_texts(study, inputs.statistics.tables, table)
    for name, text in texts.items():
        if name.endswith(".html"):  # the page shows it
            continue
        path = f"{FOLDER}/{name}"
        contents[path] = text.encode()
        if name.startswith(table_files.LATEX):
            links.setdefault("LaTeX of the other parts", {})[Path(name).stem.replace("-", " ")] = path
        else:
            ending = next(end for end in KINDS if name == f"{study.name}{end}")
            heading, form = KINDS[ending]
            links.setdefault(heading, {})[form] = path
    omitted = []
    for source in _figure_files(study, inputs.figures):
        if source.stat().st_size > LARGEST:
            omitted.append(f"figures/{source.name}")
            continue
        path = f"{FOLDER}/figures/{source.name}"
        contents[path] = source.read_bytes()
        links.setdefault("Figure", {})[source.suffix[1:]] = path
    return StudyFiles(contents=contents, links=links, omitted=tuple(omitted))


def _figure_files(study: Study, folder: Path) -> list[Path]:
    paths = [folder / f"{study.name}.{ending}" for ending in FIGURE_ENDINGS]
    return [path for path in paths if study.figure is not None and path.is_file()]
