"""MUSDB18: 150 songs and the stems of their mixtures, unlabelled, for source separation (Rafii et al., 2017).

Some published songs have known faults, which are kept: the left channel of "PR - Oh No" is not the sum of its stems,
and single stems contain other instruments in "Hop Along - Sister Cities", "Chris Durban - Celebrate", "Leaf -
Wicked" and "Detsky Sad - Walkie Talkie".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets._files import MISSING, clip_table, excluded_table, first_existing
from workflow_scripts.levels.dataset_index import DatasetIndex, Split, Stem
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "MUSDB18"
TASK = "unlabelled"
#: songs of the published set, about ten hours in all, for estimates
SIZE = {"clips": 150, "seconds": 240.0}
FILE_RATE = 44100  # Hz of the published files, for the comparison with published numbers
STEMS = ("vocals", "drums", "bass", "other")
BIBTEX = """@misc{rafii2017musdb18,
  author = {Rafii, Zafar and Liutkus, Antoine and St{\\"o}ter, Fabian-Robert and Mimilakis, Stylianos Ioannis and Bittner, Rachel},
  title = {The {MUSDB18} corpus for music separation},
  year = {2017},
  doi = {10.5281/zenodo.1117372}
}"""  # noqa: E501 - an entry's line
LICENSE = "for academic purposes only; each song under the licence its artists chose"
REMOTES = {
    "audio": Remote(
        url="https://zenodo.org/records/1117372/files/musdb18.zip",
        algorithm="md5",
        checksum="af06762477334799bfc5abf237648207",
        bytes=4_684_228_845,
        unpack=True,
    ),
}

FOLDERS: dict[str, Split] = {"train": "train", "valid": "valid", "test": "test"}  # `valid`: where users moved songs
#: songs of the folder train that validate, as in sigsep's own tools (musdb/configs/mus.yaml; MIT licence); those of
#: Garoufis et al. (2024) are not known
VALIDATION = frozenset((
    "Actions - One Minute Smile", "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies", "Patrick Talbot - A Reason To Leave", "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero", "Fergessen - Nos Palpitants", "Leaf - Summerghost",
    "Skelpolu - Human Mistakes", "Young Griffo - Pennies", "ANiMAL - Rockshow", "James May - On The Line",
    "Meaxic - Take A Step", "Traffic Experiment - Sirens",
))  # fmt: skip
SUFFIX = ".stem.mp4"
#: audio streams of a .stem.mp4; the first, 0, is the mixture, which was encoded on its own and is not quite their sum
STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
MIXTURE = "mixture"
LAYOUTS = (
    f"looked for train/Artist - Title{SUFFIX}, train/Artist - Title/mixture.wav beside {', '.join(STEMS)}, and "
    "musdb18-hq/train/Artist - Title/mixture.flac; the same in test"
)
STEM_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")  # of the stems in a song's folder


class Options(LevelOptions):
    """No options: MUSDB18 has one division, in which 86 songs train, 14 validate and 50 test."""


def index(root: Path, options: Options) -> DatasetIndex:  # noqa: ARG001 - one shape for all data sets
    """Index the songs in `root`/train and `root`/test, as published or as in MUSDB18-HQ.

    As published a song is one file, `Artist - Title.stem.mp4`; in MUSDB18-HQ it is a folder `Artist - Title` with
    `mixture.wav` and a wav for each stem, or flac. Both may also be one or two folders down, such as in
    `root`/musdb18-hq. A clip is a song, and its id the song's name. Raises `UserError` where there are no songs, or
    where the two kinds are mixed.
    """
    base = next((name for name in _folders(root) if _has_songs(root / name)), None)
    if base is None:
        raise UserError(f"{root} holds no songs of MUSDB18: {LAYOUTS}")
    files = {song: split for split in FOLDERS for song in _songs_in(root / base / split, SUFFIX)}
    folders = {song: split for split in FOLDERS for song in _songs_in(root / base / split, "")}
    if files and folders:
        raise UserError(f"{root / base} holds both {SUFFIX} files and folders of wavs: keep those of one kind")
    songs = sorted(files or folders)
    paths = {song: str(Path(base, (files or folders)[song], song)) for song in songs}
    tracks = {
        name: [f"{paths[song]}{SUFFIX}" if files else _find_stem(root, paths[song], name) for song in songs]
        for name in (MIXTURE, *STEMS)
    }
    missing = [not all(tracks[name][i] for name in tracks) for i in range(len(songs))]
    kept = np.flatnonzero(~np.array(missing))
    if not kept.size:
        raise UserError(f"{root / base} holds no song with its mixture and all stems: {LAYOUTS}")
    clips = [songs[i] for i in kept]
    return DatasetIndex(
        task="unlabelled",
        clips=clip_table(
            clip=clips,
            path=[tracks[MIXTURE][i] for i in kept],
            split=[_split_of(song, (files or folders)[song]) for song in clips],
            group=clips,
        ),
        labels=pd.DataFrame(index=pd.Index(clips, name="clip")),
        excluded=excluded_table([(songs[i], MISSING) for i in np.flatnonzero(missing)]),
        stems={
            name: Stem(paths=np.array(tracks[name], object)[kept], stream=STREAMS[name] if files else 0)
            for name in STEMS
        },
    )


def _folders(root: Path) -> Iterator[str]:
    """Yield the folders that may hold train and test: `root`, then those one and two below."""
    yield ""
    for pattern in ("*", "*/*"):
        below = [path for path in sorted(root.glob(pattern)) if path.is_dir() and path.name[0] != "."]
        yield from (path.relative_to(root).as_posix() for path in below)


def _has_songs(folder: Path) -> bool:
    return any(_songs_in(folder / split, suffix) for split in FOLDERS for suffix in (SUFFIX, ""))


def _songs_in(folder: Path, suffix: str) -> list[str]:
    """List the songs in a folder that are not hidden: files that end in `suffix`, or without one folders with audio."""
    if not folder.is_dir():
        return []
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if suffix:
        return [path.name.removesuffix(suffix) for path in entries if path.name.endswith(suffix) and path.is_file()]
    return [path.name for path in entries if path.is_dir() and any(_list_stems(path))]


def _list_stems(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in STEM_SUFFIXES and path.name[0] != "."]


def _find_stem(root: Path, folder: str, name: str) -> str:
    """Return the file of a stem in a song's folder; empty if there is none."""
    return first_existing(root, [f"{folder}/{name}{suffix}" for suffix in STEM_SUFFIXES]) or ""


def _split_of(song: str, folder: str) -> Split:
    return "valid" if folder == "train" and song in VALIDATION else FOLDERS[folder]
