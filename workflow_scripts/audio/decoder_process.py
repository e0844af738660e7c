"""The decoding program: reads one task per line from stdin and writes one answer to stdout, until stdin ends.

Decoding runs in a separate program so that a crash, a hang or excessive memory use costs one clip and not the run. The
program imports neither torch nor pandas, so it starts in a fraction of a second and stays small.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import struct
import sys
import traceback
from pathlib import Path

import numpy as np
import soundfile

from workflow_scripts.audio.decode import UnusableAudioError, decode_clip, to_int16
from workflow_scripts.audio.ffmpeg import FfmpegKilledError
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.escapes import one_line, shorten
from workflow_scripts.levels.registry import PACKAGE

#: the longest clip allowed needs about 1.2 GB at 48 kHz; a file that needs more than this is no music clip
MAX_MEMORY_BYTES = 3 << 30
#: without a file's name: no temporary folder, a full disk, too many open files
MACHINE_FAULTS = frozenset({errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
#: raised where bytes are not those of their format; all other exceptions are faults of the program
FAULTS_OF_CONTENT = (soundfile.SoundFileError, struct.error, EOFError, UnicodeDecodeError)
REMEDY = "report this line; to go on without the file, move it out of the data set"
MAX_FAULT = 200  # letters of the description of an exception


def main() -> None:
    """Answer tasks until stdin ends. A task is a JSON line with `path` and the arguments of `decode`.

    An answer is a JSON line with `samples` (number of int16 samples that follow it), `factor` and `defects` as of
    `DecodeResult`; or with `reason` (a key of `REASONS`), `killed` (the signal by which ffmpeg was killed from
    outside), or `stop` (a message for the user).
    """
    with contextlib.suppress(ValueError, OSError):  # not available on every system
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    # decoders in C print warnings about broken files, which would break the protocol and flood the log
    for stream in (1, 2):
        os.dup2(null, stream)
    for line in sys.stdin.buffer:
        header, samples = answer_task(json.loads(line))
        answers.write(json.dumps(header).encode() + b"\n")
        if samples is not None:
            answers.write(samples.data)
        answers.flush()


def answer_task(task: dict[str, object]) -> tuple[dict[str, object], np.ndarray | None]:
    """Decode one clip: return the answer and the int16 samples that follow it. No file content makes it raise."""
    path = str(task.pop("path"))
    try:
        clip = decode_clip(Path(path), **task)  # type: ignore[arg-type]
        samples, factor = to_int16(clip.audio)
    except Exception as error:  # of an unknown kind too: a fault of the program would cost every clip that meets it
        return _explain(error, path), None
    return {"samples": len(samples), "factor": factor, "defects": clip.defects}, samples


def _describe_fault(error: Exception) -> str:
    """Return an exception, and the line of this package that raised it, as one line."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return shorten(one_line(f"{type(error).__name__}: {error}"), MAX_FAULT) + place


def _explain(error: Exception, path: str) -> dict[str, object]:
    """Answer an error of the file, or one of the machine or the program, which must not cost the clip."""
    match error:
        case UnusableAudioError():
            answer = {"reason": error.reason}
        case MemoryError():
            answer = {"reason": "too_large"}
        case OSError() if _is_of_machine(error, path):
            answer = {"stop": f"{path} cannot be decoded on this machine: {error}"}
        case OSError():
            answer = {"reason": "unreadable"}
        case FfmpegKilledError():
            answer = {"killed": str(error)}
        case UserError():
            answer = {"stop": str(error)}
        case _ if isinstance(error, FAULTS_OF_CONTENT):
            answer = {"reason": "undecodable"}
        case _:
            answer = {"stop": f"{path}: Prelude fails at this file ({_describe_fault(error)}): {REMEDY}"}
    return dict(answer)


def _is_of_machine(error: OSError, path: str) -> bool:
    return error.errno in MACHINE_FAULTS if error.filename is None else str(error.filename) != path


if __name__ == "__main__":
    main()
