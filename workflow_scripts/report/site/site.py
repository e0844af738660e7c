"""Write the pages of the report with their style and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core.files import write_text
from workflow_scripts.report import datatables
from workflow_scripts.report.renderers import TEMPLATES, environment
from workflow_scripts.report.site import cells, data, jobs, overview, provenance, reproduction, studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage

#: kinds of pages, in the order of the contents
KINDS = (overview, reproduction, studies, cells, data, jobs, provenance)
ASSETS = "assets"
#: templates that the shared files are joined from
ASSET_FILES = {
    "site.css": (
        "style.css",
        "site/site.css",
        "site/overview.css",
        "site/run.css",
        "site/study.css",
    ),
    "site.js": (
        "site/site.js",
        "site/overview.js",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Banner:
    """What every page says of the run: its scale, the sources of its data, and what is missing."""

    scale: str
    sources: tuple[str, ...]
    has_twins: bool
    unfinished: bool  # the workflow failed: the pages show what it had finished
    n_missing: int
    n_planned: int


def write_site(folder: Path, inputs: ReportInputs) -> None:
    """Write all pages, the first one last, and remove those of an earlier run that are no more."""
    manifest = inputs.manifest
    banner = Banner(
        scale=manifest.scale,
        sources=inputs.sources,
        has_twins=inputs.has_twins,
        unfinished=manifest.unfinished,
        n_missing=inputs.n_missing,
        n_planned=len(manifest.cells),
    )
    pages = [page for kind in KINDS for page in kind.pages(inputs)]
    _remove_others(folder, {page.path for page in pages})
    for name, text in _assets():
        write_text(folder / ASSETS / name, text)
    contents = _contents(pages)
    for page in sorted(pages, key=lambda page: page.path == overview.PATH):
        template = environment().get_template(page.template)
        text = template.render(page=page, content=page.content, contents=contents, banner=banner, root=page.root)
        write_text(folder / page.path, text + "\n")


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
    """Remove the pages of an earlier site that the present one does not have."""
    for path in folder.rglob("*.html"):
        if path.relative_to(folder).as_posix() not in paths:
            path.unlink()
