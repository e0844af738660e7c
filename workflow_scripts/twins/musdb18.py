"""Twin of MUSDB18: songs with singers, bass and drums, whose stems are known since each is rendered on its own.

Layout: `train/Artist - Title.stem.mp4` and the same in `test`, five audio streams each. The songs that validate have
the real names, by which the loader finds them. Some songs have no singer, as in the real set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_atomically
from workflow_scripts.core.progress import track
from workflow_scripts.datasets.musdb18 import STREAMS, SUFFIX, VALIDATION
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.arrangements import VOICES, Arrangement, arrange
from workflow_scripts.synthesis.encode import encode_stems
from workflow_scripts.synthesis.render import SAMPLE_RATE, Renderer
from workflow_scripts.synthesis.write import make_rng

#: much rock and pop, as in the real set
STYLES = ("rock", "pop", "indie", "metal", "rock", "pop", "hiphop", "disco", "reggae", "soul", "punk", "country")
SHARES = {"test": 50 / 150, "valid": 14 / 150}  # of the songs; the others train
INSTRUMENTAL = 0.05  # share of songs without a singer


@dataclass(frozen=True, kw_only=True)
class StemSong:
    """One song: its folder, its name and its arrangement."""

    folder: str
    name: str
    arrangement: Arrangement


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` songs have audio.

    Where defects are asked for, one song more of each kind is truncated or silent.
    """
    songs = _draw_songs(twin)
    for song in track(songs, description=f"rendering {root.name}", total=len(songs)):
        content = _encode(_render_stems(song, twin))
        _write(root, song, content)
    if twin.defects:
        silence = np.zeros(round(twin.clip_seconds * SAMPLE_RATE), np.float32)
        _write(root, replace(songs[0], name="Silent Tide - Nothing"), _encode(dict.fromkeys(STREAMS, silence)))
        truncated = _encode(_render_stems(songs[0], twin))
        _write(root, replace(songs[0], name="Silent Tide - Half"), truncated[: len(truncated) // 3])


def _draw_songs(twin: TwinOptions) -> list[StemSong]:
    """Draw songs in order; of three or more at least one validates and one tests."""
    rng = make_rng(twin, "songs")
    few = min(1, twin.clips // 3)
    test = max(few, round(SHARES["test"] * twin.clips))
    valid = min(max(few, round(SHARES["valid"] * twin.clips)), len(VALIDATION))
    real = sorted(VALIDATION)
    songs = []
    for number in range(twin.clips):
        name = (
            real[number]
            if number < valid
            else f"{names.invent_artist(rng)} - {names.invent_title(rng)} No. {number + 1}"
        )
        folder = "test" if number >= twin.clips - test else "train"
        songs.append(StemSong(folder=folder, name=name, arrangement=_draw_arrangement(rng)))
    return songs


def _draw_arrangement(rng: np.random.Generator) -> Arrangement:
    """Draw an arrangement with bass, drums, at least one other player and, nearly always, a singer."""
    arrangement = arrange(rng, str(rng.choice(STYLES)))
    others = tuple(name for name in arrangement.players if name not in VOICES) or ("electric guitar",)
    singers = arrangement.voices or (str(rng.choice(["female voice", "male voice"])),)
    sung = rng.random() >= INSTRUMENTAL
    return replace(arrangement, players=(*(singers if sung else ()), *others), bass=True, drums=True)


def _render_stems(song: StemSong, twin: TwinOptions) -> dict[str, np.ndarray]:
    """Render the stems of a song, float32 (samples,)."""
    rng = make_rng(twin, "musdb18", song.name)
    piece = song.arrangement(rng, seconds=twin.clip_seconds)
    return Renderer().render_stems(piece, song.arrangement.sources, seconds=twin.clip_seconds, rng=rng)


def _encode(stems: dict[str, np.ndarray]) -> bytes:
    """Encode the mixture and each stem in the order of the streams; a source without notes is silence."""
    mixture = np.sum(list(stems.values()), axis=0)
    ordered = [stems.get(name, np.zeros_like(mixture)) for name in sorted(STREAMS, key=STREAMS.__getitem__)]
    return encode_stems([mixture, *ordered], sample_rate=SAMPLE_RATE)


def _write(root: Path, song: StemSong, content: bytes) -> None:
    with write_atomically(root / song.folder / f"{song.name}{SUFFIX}") as temporary:
        temporary.write_bytes(content)
