"""Compute a worker's stored targets for a corpus.

    python -m workflow_scripts.extract --config JSON --code DIGEST --corpus DIR --output FILE.npy [--threads N]

Writes FILE.npy, see `features.stored_features`, and FILE.json: the record, with mean and standard deviation of each
channel. A job that was stopped or killed resumes after the clips that it finished.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.format import open_memmap

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.configuration.jobs.extract import ExtractConfig
from workflow_scripts.core import array_files, files, provenance
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import TemporaryError, UserError, run_command
from workflow_scripts.core.progress import track
from workflow_scripts.features.frames import frame_count
from workflow_scripts.features.stored_features import frame_offsets
from workflow_scripts.levels import registry

# Clips of a block: a few tenths of a second of work, so that little is lost when killed and little spent on messages.
CLIPS_AT_ONCE = 16
SECONDS_PER_PROCESS = 600  # of audio: pYIN takes 2 s for it, about as long as a process takes to start
FRAMES_AT_ONCE = 1 << 20  # 4 MB of one channel at a time for mean and deviation


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Settings of a process."""

    worker: str
    options: str  # JSON: a job is a key
    corpus: Path
    values: Path  # the array being filled


def main(argv: list[str] | None = None) -> None:
    """Write the array and its record. Raises `UserError`."""
    arguments = _parser().parse_args(argv)
    config: ExtractConfig = arguments.config
    record = provenance.Record(config=config.to_plain(), code=arguments.code)
    corpus = Corpus(arguments.corpus)
    require_planned_inputs(arguments.code, corpora=[corpus])
    _check(config, corpus)
    with files.hold_output(arguments.output):
        _extract(arguments, config, record, corpus)


def _extract(arguments: argparse.Namespace, config: ExtractConfig, record: provenance.Record, corpus: Corpus) -> None:
    partial = _Partial(arguments.output, provenance.digest([config.to_plain(), arguments.code, corpus.facts.digest]))
    job = _Job(
        worker=config.worker,
        options=json.dumps(config.options, sort_keys=True),
        corpus=arguments.corpus,
        values=partial.values,
    )
    first = _Extractor(job).features(0)  # compiles code before there are many processes
    shape = (len(first), int(frame_offsets(corpus)[-1]))
    partial.prepare(shape)
    processes = min(arguments.threads, 1 + int(corpus.facts.seconds / SECONDS_PER_PROCESS))
    _fill(job, partial, clips=len(corpus), processes=processes)
    statistics = _statistics(partial.values)
    partial.finish()
    content = record.content(data={corpus.facts.dataset: corpus.facts.digest}, device="cpu", shape=shape, **statistics)
    write_record(arguments.output.with_suffix(".json"), content, files=checksums(arguments.output))


def _check(config: ExtractConfig, corpus: Corpus) -> None:
    if not registry.load("worker", config.worker).PRECOMPUTED:
        raise UserError(f"worker {config.worker} computes its targets while training: nothing to extract")
    if corpus.facts.sample_rate != config.sample_rate:
        raise UserError(
            f"{corpus.folder} is at {corpus.facts.sample_rate} Hz, not {config.sample_rate}: prepare it at that rate"
        )
    if not len(corpus):
        raise UserError(f"{corpus.folder} holds no clip: nothing to extract")


class _Block(NamedTuple):
    """A block of clips whose features are computed: its first clip, and the checksum of its features."""

    first: int
    checksum: str


class _Partial:
    """The unfinished array and the list of its finished blocks of clips, hidden beside the output."""

    def __init__(self, output: Path, key: str) -> None:
        """Take the digest of all that the array depends on, so that files of other jobs are not continued."""
        self.output = output
        self.values = output.with_name(f".{output.name}.{key}.partial")
        self._done = output.with_name(f".{output.name}.{key}.done")

    def prepare(self, shape: tuple[int, int]) -> None:
        """Create the array unless there is one to resume; remove those of other jobs."""
        self.output.with_suffix(".json").unlink(
            missing_ok=True
        )  # written last, so it exists only beside a complete array
        if not self._fits(shape):
            self._remove(self.output.parent.glob(f".{self.output.name}.*.partial"))
            self._remove(self.output.parent.glob(f".{self.output.name}.*.done"))
            files.require_space(self.output.parent, 4 * shape[0] * shape[1])
            with files.name_full_disk(self.output):
                open_memmap(self.values, mode="w+", dtype=np.float32, shape=shape).flush()
                files.allocate(self.values)
            self._done.touch()

    def _fits(self, shape: tuple[int, int]) -> bool:
        """Return whether there is an unfinished array of this shape to resume, undamaged."""
        try:
            self.done()
            return array_files.map_matrix(self.values, remedy="extract again").shape == shape
        except (OSError, ValueError, UserError):
            return False

    def done(self) -> set[_Block]:
        """Return the finished blocks; cut lines, as a kill leaves them, are passed over."""
        lines = (line.split() for line in self._done.read_text(encoding="ascii").splitlines())
        return {_Block(int(line[0]), line[1]) for line in lines if len(line) == len(_Block._fields)}

    def add(self, block: _Block) -> None:
        """Record a finished block."""
        with self._done.open("a", encoding="ascii") as file:
            file.write(f"{block.first} {block.checksum}\n")

    def finish(self) -> None:
        """Rename the finished array to the output."""
        self.values.replace(self.output)
        self._done.unlink()

    @staticmethod
    def _remove(paths: Iterator[Path]) -> None:
        for path in paths:
            path.unlink()


class _Extractor:
    """Computation of features, and the array that they are written to."""

    def __init__(self, job: _Job) -> None:
        torch.set_num_threads(1)  # clips run side by side already
        self.job = job
        self.level = registry.load("worker", job.worker)
        self.options = registry.options(self.level, json.loads(job.options))
        self.corpus = Corpus(job.corpus)
        self.offsets = frame_offsets(self.corpus)

    def features(self, row: int) -> np.ndarray:
        """Return the features of a clip, float32 (channels, frames); `UserError` for another shape or type."""
        result = self.level.extract(self.corpus.cut(row), self.options)
        frames = frame_count(int(self.corpus.lengths[row]))
        if result.ndim != 2 or result.shape[1] != frames or result.dtype != np.float32:
            raise UserError(
                f"worker {self.job.worker}: extract must give float32 (channels, {frames}) "
                f"for clip {self.corpus.clips['clip'][row]}, not {result.dtype} {result.shape}"
            )
        return result

    def write(self, first: int) -> _Block:
        """Write the block of clips that begins with `first`."""
        values = open_memmap(self.job.values, mode="r+")
        for row in range(first, min(first + CLIPS_AT_ONCE, len(self.corpus))):
            values[:, self.offsets[row] : self.offsets[row + 1]] = self.features(row)
        values.flush()
        return self.stored(first)

    def stored(self, first: int) -> _Block:
        """Return the block of clips that begins with `first` as it is in the array now."""
        last = min(first + CLIPS_AT_ONCE, len(self.corpus))
        features = open_memmap(self.job.values, mode="r")[:, self.offsets[first] : self.offsets[last]]
        return _Block(first, hashlib.sha256(features.tobytes()).hexdigest())


_extractor = functools.lru_cache(maxsize=1)(_Extractor)  # one per process: opening a corpus reads its tables


def _write_block(job: _Job, first: int) -> _Block:
    return _extractor(job).write(first)


def _fill(job: _Job, partial: _Partial, *, clips: int, processes: int) -> None:
    recorded = partial.done()
    firsts = range(0, clips, CLIPS_AT_ONCE)
    blocks = [first for first in firsts if not recorded or _extractor(job).stored(first) not in recorded]
    finished = (
        _in_processes(job, blocks, processes) if processes > 1 else (_write_block(job, first) for first in blocks)
    )
    for block in track(finished, description=f"extracting {job.worker}, {CLIPS_AT_ONCE} clips each", total=len(blocks)):
        partial.add(block)


def _in_processes(job: _Job, blocks: list[int], processes: int) -> Iterator[_Block]:
    """Yield finished blocks. Processes are spawned, because a fork would copy torch's threads in an unknown state."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_write_block, job, first) for first in blocks]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BrokenProcessPool as error:
            raise TemporaryError(
                "an extracting process was killed, perhaps for memory: run again with fewer threads"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _statistics(path: Path) -> dict[str, list[float | None]]:
    """Return mean and standard deviation of each channel over its finite values; None for a channel without any."""
    means: list[float | None] = []
    deviations: list[float | None] = []
    for channel in open_memmap(path, mode="r"):
        count, mean, squares = 0, 0.0, 0.0  # squares: sum of squared distances from the mean
        for start in range(0, len(channel), FRAMES_AT_ONCE):
            piece = channel[start : start + FRAMES_AT_ONCE].astype(np.float64)
            piece = piece[np.isfinite(piece)]
            if not len(piece):
                continue
            step = piece.mean() - mean
            squares += ((piece - piece.mean()) ** 2).sum() + step**2 * count * len(piece) / (count + len(piece))
            count += len(piece)
            mean += step * len(piece) / count
        means.append(float(mean) if count else None)
        deviations.append(float(np.sqrt(squares / count)) if count else None)
    return {"mean": means, "deviation": deviations}


def _parser() -> argparse.ArgumentParser:
    output = "array to write (.npy)"
    parser = job_parser("extract", __doc__, config=ExtractConfig.from_json, output=output, threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the corpus")
    return parser


if __name__ == "__main__":
    run_command(main)
