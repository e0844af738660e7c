"""Writing of a twin's audio: each clip is composed, rendered and encoded independently, on all cores."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.core.progress import track
from workflow_scripts.synthesis.encode import encode_audio
from workflow_scripts.synthesis.render import SAMPLE_RATE, Renderer, find_soundfont
from workflow_scripts.synthesis.score import Piece

Defect = Literal["silent", "truncated", "empty"]

CLIPS_PER_TASK = 32  # clips per task of a process: some tenths of a second of work
TASKS_PER_PROCESS = 4  # queued: enough to keep a process busy, with constant memory for any number of clips
MIN_CLIPS_FOR_PROCESSES = 64  # below this, starting processes takes longer than the work
DEFECT_SHARE = 0.01  # share of clips with each kind of defect; the real sets have fewer, but a small twin needs some
MIN_SECONDS = 0.5  # a shorter clip may contain no note


class ClipRecipe(Protocol):
    """A function that composes a clip. Recipes are picklable and hold all properties of the music."""

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose `seconds` of music."""


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """One audio file to write: its path, recipe, seed and defect."""

    path: str  # relative to the twin's root; the suffix chooses the format
    recipe: ClipRecipe
    seed: tuple[int, ...]
    defect: Defect | None = None


def make_rng(twin: TwinOptions, *purpose: str | int) -> np.random.Generator:
    """Make a generator of a twin's seed for one purpose, independent of every other purpose."""
    return np.random.default_rng(derive_seed(twin, *purpose))


def derive_seed(twin: TwinOptions, *purpose: str | int) -> tuple[int, ...]:
    """Derive the seed of `make_rng`, which can be sent to another process."""
    return (twin.seed, *(part if isinstance(part, int) else zlib.crc32(part.encode()) for part in purpose))


def add_defects(clips: Sequence[ClipSpec], twin: TwinOptions) -> Iterator[ClipSpec]:
    """Yield the clips; a twin with defects has some silent, truncated, empty, or with another clip's audio."""
    share = max(1, round(len(clips) * DEFECT_SHARE)) if twin.defects else 0
    kinds = [kind for kind in ("silent", "truncated", "empty", "duplicate") for _ in range(share)]
    order = make_rng(twin, "defects").permutation(len(clips))[: len(kinds)]
    kind_of = dict(zip(order.tolist(), kinds, strict=False))
    for i, clip in enumerate(clips):
        kind = kind_of.get(i)
        if kind == "duplicate":
            original = clips[(i + 1) % len(clips)]
            yield replace(clip, recipe=original.recipe, seed=original.seed)
        else:
            yield clip if kind is None else replace(clip, defect=kind)


def write_clips(root: Path, clips: Iterable[ClipSpec], *, seconds: float, total: int) -> None:
    """Write every clip below `root`, on all cores of this process, with memory independent of their number.

    Raises `UserError` for clips below `MIN_SECONDS` or a missing SoundFont, `TemporaryError` if a process is killed.
    """
    if seconds < MIN_SECONDS:
        raise UserError(f"a twin's clip_seconds must be at least {MIN_SECONDS}, not {seconds}")
    find_soundfont()  # report a missing SoundFont here, in one line, rather than in a process
    processes = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, total)
    if total < MIN_CLIPS_FOR_PROCESSES or processes == 1:
        for clip in track(clips, description=f"rendering {root.name}", total=total):
            write_clip(root, clip, seconds)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        written = _write_in_window(pool, root, clips, seconds, window=processes * TASKS_PER_PROCESS)
        for _ in track(written, description=f"rendering {root.name}", total=total):
            pass


def write_clip(root: Path, clip: ClipSpec, seconds: float) -> None:
    """Compose, render, encode and write one clip."""
    path = root / clip.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_clip(clip, seconds))


def encode_clip(clip: ClipSpec, seconds: float) -> bytes:
    """Render and encode a clip: the bytes of its file."""
    if clip.defect == "empty":
        return b""
    audio = (
        render_clip(clip, seconds) if clip.defect != "silent" else np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    )
    content = encode_audio(audio, sample_rate=SAMPLE_RATE, suffix=Path(clip.path).suffix)
    return content[: len(content) // 3] if clip.defect == "truncated" else content


def render_clip(clip: ClipSpec, seconds: float) -> np.ndarray:
    """Compose and render a clip: float32 (samples,) at `SAMPLE_RATE`."""
    rng = np.random.default_rng(clip.seed)
    return Renderer().render_clip(clip.recipe(rng, seconds=seconds), seconds=seconds, rng=rng)


def _write_chunk(root: Path, chunk: Sequence[ClipSpec], seconds: float) -> int:
    for clip in chunk:
        write_clip(root, clip, seconds)
    return len(chunk)


def _write_in_window(
    pool: ProcessPoolExecutor, root: Path, clips: Iterable[ClipSpec], seconds: float, *, window: int
) -> Iterator[None]:
    """Keep at most `window` chunks in the pool; yield once per clip written."""
    remaining = iter(clips)
    waiting: set[Future[int]] = set()
    while True:
        while len(waiting) < window and (chunk := list(itertools.islice(remaining, CLIPS_PER_TASK))):
            waiting.add(pool.submit(_write_chunk, root, chunk, seconds))
        if not waiting:
            return
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in finished:
            try:
                written = future.result()
            except BrokenProcessPool as error:
                message = "a process that renders clips was killed, perhaps for memory: run again"
                raise TemporaryError(message) from error
            yield from itertools.repeat(None, written)
