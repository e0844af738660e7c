"""Separation worker: estimation of the sources of a mixture by masks on its spectrogram.

Garoufis et al. 2024, section 2; the MSSPT code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.pretraining.stem_mixtures import Mix

if TYPE_CHECKING:
    from workflow_scripts.workers._separation import SeparationWorker

LABEL = "separation"
PRECOMPUTED = False

#: stems of MUSDB18 in the order in which the code's network for all four has its masks
SOURCES = ("vocals", "other", "drums", "bass")
#: two pieces of each source but one of bass, as in the code
PIECES_OF_ALL = ("vocals", "vocals", "other", "other", "drums", "drums", "bass")


class Options(LevelOptions):
    """Options of the separation worker; the masks are the encoder's."""

    source: Literal["vocals", "drums", "bass", "other", "all"] = "vocals"
    """Source to separate, or `all` four at once ("Multiple" in the paper); `other` is all but vocals, drums and bass:
    the melodic accompaniment."""


def mix(options: Options) -> Mix:
    """Return what mixtures are made of: for one source two pieces of it and two accompaniments, as in the code."""
    if options.source == "all":
        return Mix(sources=SOURCES, pieces=PIECES_OF_ALL)
    return Mix(sources=(options.source,), pieces=(options.source, options.source, None, None))


def build(options: Options, *, embedding_size: int) -> SeparationWorker:
    """Build the worker."""
    from workflow_scripts.workers._separation import SeparationWorker

    return SeparationWorker(sources=mix(options).sources)
