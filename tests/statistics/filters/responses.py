"""Responses of filters made by rule."""

from __future__ import annotations

import numpy as np

from workflow_scripts.audio.corpus import CorpusFacts
from workflow_scripts.statistics.filters.responses import Responses


def responses(values: np.ndarray, tags: np.ndarray | None = None, *, songs: int = 40) -> Responses:
    """Return activations (clips, filters) of clips with these tags (clips, classes), in so many songs."""
    clips = len(values)
    of_clips = np.zeros((clips, 1), bool) if tags is None else tags.astype(bool)
    facts = CorpusFacts(
        dataset="magnatagatune",
        task="multilabel",
        classes=[f"tag {number}" for number in range(of_clips.shape[1])],
        sample_rate=22050,
        source="twin",
        clips=clips,
        seconds=29.0 * clips,
        quarantined=0,
        scaled=0,
        defective=0,
        digest="digest",
        content="content",
    )
    return Responses(
        facts=facts,
        values=values.astype(np.float64),
        names=np.arange(clips).astype(str),
        tags=of_clips,
        clusters=np.arange(clips) % songs,
    )
