"""FMA medium: 25,000 clips of 30 s in 16 unbalanced genres, split 19,922 / 2,505 / 2,573 (Defferrard et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.datasets import _fma
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.sources.remotes import Remote

TASK = "multiclass"
SIZE = {"clips": 25000, "seconds": 30.0}  # clips of the published set and their length, for estimates
#: whose tracks the clips are parts of, and how a clip id begins with the number of its track
CATALOGUE = ("Free Music Archive", r"(\d{6})(?!\d)")
BIBTEX = """@inproceedings{defferrard2017fma,
  author = {Defferrard, Micha{\\"e}l and Benzi, Kirell and Vandergheynst, Pierre and Bresson, Xavier},
  title = {{FMA}: A Dataset for Music Analysis},
  booktitle = {Proceedings of the 18th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2017}
}"""
LICENSE = "metadata CC BY 4.0; audio: each track under the licence its artist chose"
REMOTES = {
    "metadata": _fma.METADATA,
    "audio": Remote(
        url="https://os.unil.cloud.switch.ch/fma/fma_medium.zip",
        algorithm="sha1",
        checksum="c67b69ea232021025fca9231fc1c7c1a063ab50b",
        unpack=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What counts as FMA medium.

    `with_small`: also the 8,000 tracks of FMA small, which are part of it although the table marks them small (the
    official reading). Without them it is the 17,000 others, on which the MSSPT code was tried, as its README says; what
    Garoufis et al. (2024) print is from all.
    """

    with_small: bool = True


def index(root: Path, options: Options) -> DatasetIndex:
    """Index FMA medium; see `fma.index` for the layouts accepted and the errors raised."""
    return _fma.index(root, subset="medium", marked=None if options.with_small else ("medium",))
