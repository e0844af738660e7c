"""Speed of what users wait for, as one table: each row with its ratio to an anchor that is measured in turn with it.

    python -m tests.benchmarks [--group GROUP ...] [--output FILE.json] [--compare OLD.json] [--smallest]

Times are the shortest of a few rounds, in CPU seconds on one thread, so that other load hardly counts; ratios can be
compared between machines of one kind. With --compare, rows whose ratio rose by more than 10 % are named.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from tests.benchmarks.rows import GROUPS, SMALLEST, Row, Scale, cpu_seconds
from workflow_scripts.core import files

OUTPUT = Path("results/bench.json")
SLOWER = 1.10  # what repeated runs on one quiet machine stay below


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A row as it was measured; `ratio` is that of `seconds` to `anchor_seconds`."""

    name: str
    anchor: str
    seconds: float
    anchor_seconds: float
    ratio: float

    def line(self) -> str:
        """Return the row of the table."""
        return f"{self.name:<44} {self.seconds:>9.3f} s {self.ratio:>8.2f} x  {self.anchor}"


def measure(row: Row) -> Measurement:
    """Measure work and anchor in turn."""
    times: dict[str, list[float]] = {"work": [], "reference": []}
    for number in range(-1 if row.warm else 0, row.rounds):
        for way, seconds in times.items():
            started = cpu_seconds()
            with contextlib.redirect_stderr(io.StringIO()):  # progress
                getattr(row, way)()
            if number >= 0:
                seconds.append(cpu_seconds() - started)
    work, reference = (min(seconds) for seconds in times.values())
    return Measurement(name=row.name, anchor=row.anchor, seconds=work, anchor_seconds=reference, ratio=work / reference)


def describe_machine() -> dict[str, object]:
    """Return what the times depend on."""
    models = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),  # at the start: what else ran
    }


def _read(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []


def compare(rows: Sequence[Measurement], old: Mapping[str, float], *, complete: bool) -> list[str]:
    """Return a line for each row whose ratio rose by more than 10 %, and for each that the old run lacks.

    With `complete`, rows of all groups, also for each row of the old run that is gone.
    """
    lines = []
    for row in rows:
        before = old.get(row.name)
        if before is None:
            lines.append(f"new: {row.name}")
        elif row.ratio > SLOWER * before:
            rise = 100 * (row.ratio / before - 1)
            lines.append(f"slower: {row.name}: {before:.2f} to {row.ratio:.2f} times {row.anchor} (+{rise:.0f} %)")
    gone = old.keys() - {row.name for row in rows} if complete else ()
    return lines + [f"gone: {name}" for name in sorted(gone)]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, write it, and compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", nargs="+", choices=list(GROUPS), default=list(GROUPS), help="only these rows")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"table to write ({OUTPUT})")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="table of an earlier run")
    parser.add_argument("--smallest", action="store_true", help="run all code at sizes whose times mean nothing")
    arguments = parser.parse_args(argv)
    if arguments.compare and not arguments.compare.is_file():
        parser.error(f"--compare {arguments.compare}: no such file: name the table of an earlier run")
    if arguments.compare and arguments.compare.resolve() == arguments.output.resolve():
        parser.error(f"{arguments.compare} would be overwritten: name another file for the new table with --output")
    old = json.loads(arguments.compare.read_text(encoding="utf-8")) if arguments.compare else None
    machine, measurements = describe_machine(), list[Measurement]()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for group in arguments.group:
            with tempfile.TemporaryDirectory() as folder:
                for row in GROUPS[group](SMALLEST if arguments.smallest else Scale(), Path(folder)):
                    measurements.append(measure(replace(row, rounds=1, warm=False) if arguments.smallest else row))
                    print(measurements[-1].line(), flush=True)
    torch.set_num_threads(threads)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(arguments.output, {"machine": machine, "rows": [asdict(row) for row in measurements]})
    if old is None:
        return
    if old["machine"]["processor"] != machine["processor"]:
        print(f"{arguments.compare} is of another processor, {old['machine']['processor']}")
    before = {row["name"]: row["ratio"] for row in old["rows"]}
    lines = compare(measurements, before, complete=set(arguments.group) == set(GROUPS))
    print("\n".join(lines or [f"nothing is more than {SLOWER - 1:.0%} slower than in {arguments.compare}"]))


if __name__ == "__main__":
    main()
