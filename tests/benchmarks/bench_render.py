"""Rendering of twins: seconds of music per second of one core, without and with encoding.

`python -m tests.benchmarks.bench_render [--clips 60] [--seconds 10]`.
Measures CPU time, so that other load hardly matters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from workflow_scripts.synthesis.dances import DANCES, DanceRecipe, tempo_at_quantile
from workflow_scripts.synthesis.encode import encode_audio
from workflow_scripts.synthesis.genres import GENRES, GenreRecipe
from workflow_scripts.synthesis.instruments import OPENMIC, EnsembleRecipe
from workflow_scripts.synthesis.render import SAMPLE_RATE
from workflow_scripts.synthesis.write import ClipRecipe, ClipSpec, render_clip

TARGET = 100  # times real time per core, without encoding
DANCE_NAMES, GENRE_NAMES, INSTRUMENTS = list(DANCES), list(GENRES), list(OPENMIC)

#: kind of twin -> file suffix, and recipe of clip number i
KINDS: dict[str, tuple[str, Callable[[int], ClipRecipe]]] = {
    "openmic": (
        ".ogg",
        lambda i: EnsembleRecipe(tuple(INSTRUMENTS[(i + 7 * k) % 20] for k in range(1 + i % 3)), i % 2 == 0),
    ),
    "extended_ballroom": (
        ".mp3",
        lambda i: DanceRecipe(DANCE_NAMES[i % 13], tempo_at_quantile(DANCE_NAMES[i % 13], 0.5), i, i),
    ),
    "fma": (".mp3", lambda i: GenreRecipe(GENRE_NAMES[i % 16], i)),
}


def main() -> None:
    """Print the speed of rendering; fail below the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    total = arguments.clips * arguments.seconds
    for kind, (suffix, recipe) in KINDS.items():
        clips = [ClipSpec(path=f"x{suffix}", recipe=recipe(i), seed=(0, i)) for i in range(arguments.clips)]
        render_clip(clips[0], 1.0)  # loads the SoundFont
        started = time.process_time()
        audio = [render_clip(clip, arguments.seconds) for clip in clips]
        rendering = time.process_time() - started
        for samples in audio:
            encode_audio(samples, sample_rate=SAMPLE_RATE, suffix=suffix)
        both = time.process_time() - started
        print(f"{kind}: rendering {total / rendering:.0f} x real time, with {suffix[1:]} encoding {total / both:.0f} x")
        if total / rendering < TARGET:
            raise SystemExit(f"rendering must reach {TARGET} x real time per core")


if __name__ == "__main__":
    main()
