"""FMA medium: 25,000 clips of 30 s in 16 unbalanced genres, split 19,922 / 2,505 / 2,573 (Defferrard et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.audio import fma
from workflow_scripts.audio.index import DatasetIndex
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
    "metadata": fma.METADATA,
    "audio": Remote(
        url="https://os.unil.cloud.switch.ch/fma/fma_medium.zip",
        algorithm="sha1",
        checksum="c67b69ea232021025fca9231fc1c7c1a063ab50b",
        unpack=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """FMA medium has one official form."""


def index(root: Path, options: Options) -> DatasetIndex:  # noqa: ARG001 (every data set has this shape)
    """Index FMA medium; see `fma.index` for the layouts accepted and the errors raised."""
    return fma.index(root, subset="medium")
