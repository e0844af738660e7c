"""Preparing many clips: memory over the import baseline, share of the cores, clips a second.

`python -m tests.benchmarks.bench_prepare [--clips 10000]`. The clips are an OpenMIC twin's, ogg files of 3 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.datasets import openmic
from workflow_scripts.twins import openmic as twin

SECONDS = 3.0  # short, so that rendering them takes a minute and not ten
RATE = 16_000
MEBIBYTE = 1 << 20
PAUSE_SECONDS = 0.05  # between looks at the memory: short beside the job, long beside one look


@dataclass
class Memory:
    """Largest memory of this process and its children together, watched from a thread."""

    peak: int = 0
    running: bool = True

    def watch(self) -> None:
        while self.running:
            self.peak = max(self.peak, used())
            time.sleep(PAUSE_SECONDS)


def used() -> int:
    """Proportional memory of this process and its descendants in bytes: shared pages count once."""
    total, pending = 0, [os.getpid()]
    while pending:
        process = pending.pop()
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
            for task in Path(f"/proc/{process}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000)
    clips = parser.parse_args().clips
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        twin.write(root, TwinOptions(clips=clips, clip_seconds=SECONDS))
        index = openmic.index(root, openmic.Options())
        memory, baseline = Memory(), used()
        watcher = threading.Thread(target=memory.watch)
        watcher.start()
        spec = CorpusSpec(dataset="bench", source="twin", sample_rate=RATE)
        started, busy, idle = time.monotonic(), _cpu_seconds(), _idle_seconds()
        facts = build_corpus(index, root=root, output=root / "out", spec=spec, processes=cores)
        seconds, busy, idle = time.monotonic() - started, _cpu_seconds() - busy, _idle_seconds() - idle
        memory.running = False
        watcher.join()
    print(f"prepare: {facts.clips} clips of {SECONDS:g} s on {cores} cores in {seconds:.1f} s")
    print(f"prepare: {facts.clips / seconds:.0f} clips/s, {facts.seconds / seconds:.0f} times real time")
    print(f"prepare: {busy / seconds / cores:.2f} of all cores used by it, {idle / seconds / cores:.2f} idle")
    print(f"prepare: {(memory.peak - baseline) / MEBIBYTE:.0f} MiB over the import baseline (at most 1024)")


def _idle_seconds() -> float:
    """Idle time of all cores of the machine, which tells a busy neighbour from a job that waits."""
    return int(Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")


def _cpu_seconds() -> float:
    """CPU time of this process and of the children that ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
