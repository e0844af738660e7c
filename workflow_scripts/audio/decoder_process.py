"""The process that decodes: one task per line on stdin, one answer on stdout, until stdin ends.

It is a program of its own, so that a decoder that crashes, hangs or eats memory takes one clip with it and not the run.
It imports neither torch nor pandas: it starts in a fraction of a second and stays small.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from pathlib import Path

import numpy as np

from workflow_scripts.audio.decode import UnusableAudioError, decode, to_int16
from workflow_scripts.core.errors import UserError

MEMORY_BYTES = 3 << 30  # the longest clip allowed needs about 1.2 GB at 48 kHz; a file that needs more is no music clip


def main() -> None:
    """Answer tasks. A task is a JSON line with `path` and the arguments of `decode`.

    An answer is a JSON line with `samples` (number of int16 samples that follow it), or `reason`, or `stop` (a message
    for the user).
    """
    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (
        1,
        2,
    ):  # decoders in C print warnings about broken files, which would break the protocol and flood the log
        os.dup2(silence, stream)
    for line in sys.stdin.buffer:
        stated, samples = answer_task(json.loads(line))
        answers.write(json.dumps(stated).encode() + b"\n")
        if samples is not None:
            answers.write(samples.data)
        answers.flush()


def answer_task(task: dict[str, object]) -> tuple[dict[str, object], np.ndarray | None]:
    """Decode one clip: the answer, and the int16 samples that follow it. Never raises for what a file can cause."""
    try:
        samples = to_int16(decode(Path(str(task.pop("path"))), **task))  # type: ignore[arg-type]
    except UnusableAudioError as error:
        return {"reason": error.reason}, None
    except MemoryError:
        return {"reason": "too_large"}, None
    except OSError:
        return {"reason": "unreadable"}, None
    except UserError as error:
        return {"stop": str(error)}, None
    return {"samples": len(samples)}, samples


if __name__ == "__main__":
    main()
