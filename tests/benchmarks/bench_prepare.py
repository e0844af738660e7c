"""Preparation of many clips: memory above the import baseline, use of the cores, clips per second.

`python -m tests.benchmarks.bench_prepare [--clips 10000]`. The clips are ogg files of 3 s of an OpenMIC twin.
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

SECONDS = 3.0  # short, so that rendering takes one minute instead of ten
RATE = 16_000
MEBIBYTE = 1 << 20
# between two measurements of memory: short compared with the job, long compared with one measurement
PAUSE_SECONDS = 0.05


@dataclass
class MemoryMonitor:
    """Monitor, in a thread, of the peak memory of this process and its children together."""

    peak: int = 0
    running: bool = True

    def watch(self) -> None:
        while self.running:
            self.peak = max(self.peak, used_memory())
            time.sleep(PAUSE_SECONDS)


def used_memory() -> int:
    """Measure the proportional memory of this process and its descendants in bytes; shared pages count once."""
    total, pending = 0, [os.getpid()]
    while pending:
        process = pending.pop()
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
            for task in Path(f"/proc/{process}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):
            continue  # the process has ended
    return total


def main() -> None:
    """Print clips per second, use of the cores and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000)
    clips = parser.parse_args().clips
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        twin.write(root, TwinOptions(clips=clips, clip_seconds=SECONDS))
        index = openmic.index(root, openmic.Options())
        memory, baseline = MemoryMonitor(), used_memory()
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
    print(f"prepare: {busy / seconds / cores:.2f} of all cores used, {idle / seconds / cores:.2f} idle")
    print(f"prepare: {(memory.peak - baseline) / MEBIBYTE:.0f} MiB over the import baseline (at most 1024)")


def _idle_seconds() -> float:
    """Read the idle time of all cores, which separates other load from waiting of the job."""
    return int(Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")


def _cpu_seconds() -> float:
    """Read the CPU time of this process and of its ended children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
