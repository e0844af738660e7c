"""Write the pages of the report with their style and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core.files import name_full_disk
from workflow_scripts.report import datatables
from workflow_scripts.report.renderers.html import TEMPLATES, environment
from workflow_scripts.report.site import (
    cells,
    columns,
    data,
    jobs,
    machine_files,
    overview,
    provenance,
    reading,
    reproduction,
    studies,
)
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage

#: kinds of pages, in the order of the contents
KINDS = (overview, reading, reproduction, studies, cells, data, jobs, provenance, columns, machine_files)
ASSETS = "assets"
LISTING = f"{ASSETS}/files.txt"  # paths of all files of the site, a line each: what the next one may remove
#: templates that the shared files are joined from
ASSET_FILES = {
    "site.css": ("style.css", *(f"site/{name}.css" for name in ("site", "overview", "run", "study", "panels"))),
    "site.js": tuple(f"site/{name}.js" for name in ("site", "overview", "reproduction")),
}


@dataclass(frozen=True, kw_only=True)
class Banner:
    """Facts of the run on every page: its scale, the sources of its data, and the number of missing cells."""

    scale: str
    sources: tuple[str, ...]
    has_twins: bool
    unfinished: bool  # the workflow failed: the pages show what it had finished
    n_missing: int
    n_planned: int


def write_site(folder: Path, inputs: ReportInputs) -> None:
    """Write all pages, the first one last, and remove the files of an earlier site that are no more."""
    manifest = inputs.manifest
    banner = Banner(
        scale=manifest.scale,
        sources=inputs.sources,
        has_twins=inputs.has_twins,
        unfinished=manifest.unfinished,
        n_missing=inputs.n_missing,
        n_planned=len(manifest.cells),
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = {LISTING}
    for name, text in _assets():
        paths.add(f"{ASSETS}/{name}")
        _write(folder / ASSETS / name, text.encode())
    pages: list[SitePage] = []
    for kind in KINDS:
        for part in kind.pages(inputs):
            if isinstance(part, SitePage):
                pages.append(part)
            else:
                paths.add(part.path)
                _write(folder / part.path, part.content)
    contents = _contents(pages)
    paths |= {page.path for page in pages}
    _remove_others(folder, paths)
    _write(folder / LISTING, "".join(f"{path}\n" for path in sorted(paths)).encode())
    for page in sorted(pages, key=lambda page: page.path == overview.PATH):
        template = environment().get_template(page.template)
        text = template.render(page=page, content=page.content, contents=contents, banner=banner, root=page.root)
        _write(folder / page.path, f"{text}\n".encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file without a sync, which would take most of the time of thousands of pages; each run writes them anew.

    A file is replaced as a whole, so that a reader never sees a part of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with name_full_disk(path):
            temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _assets() -> Iterator[tuple[str, str]]:
    """Yield the files that all pages share, by name."""
    for name, parts in ASSET_FILES.items():
        yield name, "".join((TEMPLATES / part).read_text(encoding="utf-8") for part in parts)
    yield from datatables.files().items()


def _contents(pages: Sequence[SitePage]) -> Mapping[str, list[SitePage]]:
    """Return the listed pages by their heading."""
    groups: dict[str, list[SitePage]] = {}
    for page in pages:
        if page.group:
            groups.setdefault(page.group, []).append(page)
    return groups


def _remove_others(folder: Path, paths: set[str]) -> None:
    """Remove the files that an earlier site listed and the present one does not have; all others in the folder stay."""
    listing = folder / LISTING
    listed = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    for path in sorted({*listed} - paths):
        if not Path(path).is_absolute() and ".." not in Path(path).parts:
            (folder / path).unlink(missing_ok=True)
