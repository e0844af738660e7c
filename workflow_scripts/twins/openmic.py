"""Twin of OpenMIC-2018: ensembles of one to three of the twenty instruments, with about two labels per clip.

As in the real set a clip is annotated for a few instruments only, some of which do not sound (strong negatives);
everything else is unobserved. Layout: `openmic-2018/` with audio, aggregated labels, metadata, npz, class map and
partitions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_atomically, write_text
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.instruments import OPENMIC, EnsembleRecipe
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

FOLDER = "openmic-2018"
CLASSES = tuple(OPENMIC)
TRAINING = 0.746  # 14,915 of 20,000, by artist
DISTRACTED = 0.3  # share of clips with an instrument that is none of the twenty
OFFSET_STEP = 3840  # the number after the key's underscore is a multiple of it
#: columns of the metadata; `sample_key` is the last but one
METADATA = (
    "album_id", "album_title", "artist_id", "artist_name", "license_title", "tags", "track_bit_rate",
    "track_duration", "track_genres", "track_id", "track_title", "track_url", "sample_key", "start_time",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip: its instruments and its annotations."""

    key: str
    artist: int
    instruments: tuple[str, ...]
    relevance: dict[str, float]  # instrument -> estimated probability, of those observed
    has_distractor: bool


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files."""
    base = root / FOLDER
    samples = _draw_samples(twin)
    _write_labels(base, samples, make_rng(twin, "labels"))
    _write_metadata(base, samples, make_rng(twin, "metadata"))
    _write_partitions(base, samples, make_rng(twin, "partitions"))
    clips = [
        ClipSpec(
            path=f"audio/{sample.key[:3]}/{sample.key}.ogg",
            recipe=EnsembleRecipe(sample.instruments, sample.has_distractor),
            seed=derive_seed(twin, "openmic", i),
        )
        for i, sample in enumerate(samples)
    ]
    write_clips(base, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def _draw_samples(twin: TwinOptions) -> list[Sample]:
    rng = make_rng(twin, "samples")
    tracks = np.sort(rng.choice(155_000, size=twin.clips, replace=False))  # FMA ids are six digits, below 155,321
    artists = rng.integers(0, max(2, twin.clips // 3), twin.clips)  # the real set: about three clips an artist
    targets = rng.permutation(twin.clips) % len(CLASSES)  # every instrument is annotated equally often
    samples = []
    for track, artist, target in zip(tracks, artists, targets, strict=True):
        instruments, relevance = _draw_annotations(rng, CLASSES[target])
        key = f"{track:06d}_{OFFSET_STEP * int(rng.integers(0, 60))}"
        has_distractor = bool(rng.random() < DISTRACTED)
        samples.append(
            Sample(
                key=key, artist=int(artist), instruments=instruments, relevance=relevance, has_distractor=has_distractor
            )
        )
    return samples


def _draw_annotations(rng: np.random.Generator, target: str) -> tuple[tuple[str, ...], dict[str, float]]:
    """Draw the instruments of a clip annotated for `target`, and two annotations on average, half of them negative."""
    others = [name for name in rng.permutation(CLASSES).tolist() if name != target]
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
    sounding = [target, *others[: count - 1]] if rng.random() < 0.5 else others[:count]
    absent = [name for name in others if name not in sounding]
    present = [name for name in sounding if name != target]
    annotated = [target]
    for _ in range(int(rng.choice([0, 1, 2], p=[0.2, 0.55, 0.25]))):
        pool = present if present and rng.random() < 0.5 else absent
        annotated.append(pool.pop())
    rng.shuffle(sounding)
    return tuple(sounding), {name: _draw_relevance(rng, name in sounding) for name in annotated}


def _draw_relevance(rng: np.random.Generator, present: bool) -> float:
    """Draw the crowd's estimate: never on the wrong side of 0.5, and sometimes just 0.5, which counts as present."""
    if present:
        return 0.5 if rng.random() < 0.03 else round(float(rng.uniform(0.55, 1)), 5)
    return round(float(rng.uniform(0, 0.45)), 5)


def _write_labels(base: Path, samples: list[Sample], rng: np.random.Generator) -> None:
    rows: list[list[object]] = [["sample_key", "instrument", "relevance", "num_responses"]]
    truth, mask = np.full((len(samples), len(CLASSES)), 0.5), np.zeros((len(samples), len(CLASSES)), bool)
    for i, sample in enumerate(samples):
        for name, relevance in sorted(sample.relevance.items()):
            rows.append([sample.key, name, relevance, int(rng.integers(3, 6))])
            truth[i, CLASSES.index(name)], mask[i, CLASSES.index(name)] = relevance, True
    write_text(base / "openmic-2018-aggregated-labels.csv", names.format_csv(rows))
    write_text(base / "class-map.json", json.dumps({name: i for i, name in enumerate(CLASSES)}))
    keys = np.array([sample.key for sample in samples], dtype=object)
    # VGGish features are not modelled; a broadcast zero takes no memory, and next to no disk once compressed
    features = np.broadcast_to(np.float32(0), (len(samples), 10, 128))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=features, Y_true=truth, Y_mask=mask, sample_key=keys)
    with write_atomically(base / "openmic-2018.npz") as temporary:
        temporary.write_bytes(buffer.getvalue())


def _write_metadata(base: Path, samples: list[Sample], rng: np.random.Generator) -> None:
    rows: list[list[object]] = [list(METADATA)]
    for sample in samples:
        track, offset = sample.key.split("_")
        row = {
            "album_id": sample.artist * 10 + 1,
            "album_title": names.invent_title(rng),
            "artist_id": sample.artist,
            "artist_name": names.invent_artist(rng),
            "license_title": "Attribution",
            "tags": "[]",
            "track_bit_rate": 320000,
            "track_duration": "03:20",
            "track_genres": "[{'genre_id': '12', 'genre_title': 'Rock'}]",  # Python's quotes, not JSON
            "track_id": int(track),
            "track_title": names.invent_title(rng),
            "track_url": f"http://example.org/track/{track}",
            "sample_key": sample.key,
            "start_time": int(offset) / OFFSET_STEP * 10,
        }
        rows.append([row[column] for column in METADATA])
    write_text(base / "openmic-2018-metadata.csv", names.format_csv(rows))


def _write_partitions(base: Path, samples: list[Sample], rng: np.random.Generator) -> None:
    artists = sorted({sample.artist for sample in samples})
    training = set(rng.permutation(artists)[: max(1, round(TRAINING * len(artists)))].tolist())
    for name, trains in (("train", True), ("test", False)):
        keys: Iterable[str] = (sample.key for sample in samples if (sample.artist in training) == trains)
        write_text(base / "partitions" / f"split01_{name}.csv", "".join(f"{key}\n" for key in keys))
