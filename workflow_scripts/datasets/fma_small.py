"""FMA small: 8,000 clips of 30 s in 8 balanced genres, split 6,400 / 800 / 800 (Defferrard et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.datasets import _fma
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.sources.remotes import Remote

TASK = "multiclass"
SIZE = {"clips": 8000, "seconds": 30.0}  # clips of the published set and their length, for estimates
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
        url="https://os.unil.cloud.switch.ch/fma/fma_small.zip",
        algorithm="sha1",
        checksum="ade154f733639d52e35e32f5593efe5be76c6d70",
        unpack=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """FMA small has one official form."""


def index(root: Path, options: Options) -> DatasetIndex:  # noqa: ARG001 (every data set has this shape)
    """Index FMA small; see `fma.index` for the layouts accepted and the errors raised."""
    return _fma.index(root, subset="small")
