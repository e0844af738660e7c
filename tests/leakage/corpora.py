"""Corpora with planted duplicates: rendered music, and changes that recordings undergo on their way into data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import soundfile
import soxr

from tests.audio.recordings import encode
from tests.records import seal
from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus, CorpusFacts, facts_to_json
from workflow_scripts.audio.samples import FULL_SCALE

RATE = 16_000
GAP = RATE // 2  # between clips that go through a codec in one file
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def render_music(folder: Path, *, clips: int, seconds: float, seed: int = 7) -> list[np.ndarray]:
    """Render ensembles, genres and dances, no two of one song: int16 (samples,) each."""
    twin = {"clips": clips, "clip_seconds": seconds, "seed": seed}
    config = {"dataset": "music", "loader": "audioset_music", "source": "twin", "twin": twin}
    acquire.main(["--config", json.dumps(config), "--code", "c", "--output", str(folder / "data")])
    settings = {"dataset": "music", "loader": "audioset_music", "options": {"clips": None}, "sample_rate": RATE}
    flags = ["--config", json.dumps({**settings, "source": "twin"}), "--code", "c", "--output", str(folder / "corpus")]
    prepare.main([*flags, "--acquired", str(folder / "data" / "acquired.json")])
    corpus = Corpus(folder / "corpus")
    return [to_int16(corpus.cut(row)) for row in range(len(corpus))]


def write_corpus(
    folder: Path,
    clips: Sequence[np.ndarray],
    *,
    names: Sequence[str],
    splits: Sequence[str],
    groups: Sequence[str] | None = None,
    rate: int = RATE,
) -> Corpus:
    """Write a prepared corpus of int16 clips; its data set has the folder's name."""
    lengths = np.array([len(clip) for clip in clips], np.int64)
    folder.mkdir(parents=True)
    samples = np.concatenate(clips).astype("<i2")
    samples.tofile(folder / "audio.int16")
    table = {"clip": names, "offset": np.cumsum(lengths) - lengths, "length": lengths, "split": splits}
    pd.DataFrame({**table, "group": groups or names}).to_parquet(folder / "clips.parquet")
    facts = CorpusFacts(
        dataset=folder.name,
        task="unlabelled",
        classes=[],
        sample_rate=rate,
        source="twin",
        clips=len(clips),
        seconds=len(samples) / rate,
        quarantined=0,
        scaled=0,
        defective=0,
        digest=hashlib.sha256(samples.tobytes()).hexdigest()[:16],
        content=hashlib.sha256(folder.name.encode()).hexdigest()[:16],
    )
    seal(*(folder / name for name in ("audio.int16", "clips.parquet")), **facts_to_json(facts))
    return Corpus(folder)


def to_int16(audio: np.ndarray) -> np.ndarray:
    return np.clip(np.round(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def shift_pitch(semitones: float) -> Change:
    return lambda audio, _: librosa.effects.pitch_shift(audio, sr=RATE, n_steps=semitones)


def crop_half(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start = rng.integers(0, len(audio) - len(audio) // 2 + 1)
    return audio[start : start + len(audio) // 2]


def attenuate(audio: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return audio * np.float32(10 ** (-18 / 20))


def add_noise(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise 20 dB below the music."""
    return audio + rng.standard_normal(len(audio)) * 0.1 * np.sqrt(np.mean(np.square(audio)))


def resample_twice(audio: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return soxr.resample(soxr.resample(audio, RATE, 8000), 8000, RATE)


def encode_and_decode(clips: Sequence[np.ndarray], folder: Path, suffix: str, *options: str) -> list[np.ndarray]:
    """Encode float clips in one file and decode them; codecs delay a clip by some milliseconds."""
    joined = np.concatenate([np.pad(clip, (0, GAP)) for clip in clips])
    soundfile.write(folder / "plain.wav", joined, RATE)
    encode(folder / "plain.wav", folder / f"coded.{suffix}", *options)
    encode(folder / f"coded.{suffix}", folder / "decoded.wav", "-ar", str(RATE))
    decoded = soundfile.read(folder / "decoded.wav", dtype="float32")[0]
    starts = np.cumsum([0, *(len(clip) + GAP for clip in clips[:-1])])
    return [decoded[start : start + len(clip)] for start, clip in zip(starts, clips, strict=True)]
