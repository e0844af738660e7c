"""Errors that users can correct, and the exit codes of commands."""

from __future__ import annotations

import contextlib
import errno
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.core.escapes import printable
from workflow_scripts.core.streams import accept_any_text

NOTE = "note: "  # begins a message that stops nothing
MAX_REASON = 300  # letters of another library's reason: pandas lists fifty columns
EXIT_USER_ERROR = 2  # argparse's code for an unusable command line; a cluster does not retry it
EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits: a temporary failure, worth retrying
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # the disk, the user's share of it, the largest file
NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: a file where a folder belongs or the reverse, links in a circle, a name longer than the disk holds
WRONG_PATH = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG})


class UserError(Exception):
    """An error that the user can correct; its message is one line that states the error and the remedy."""


class TemporaryError(UserError):
    """A temporary failure, such as a lock that another process holds: worth retrying."""


@contextmanager
def name_damage(path: Path, *, remedy: str) -> Iterator[None]:
    """Raise the errors of damaged bytes as a `UserError` that names the file and ends with `remedy`."""
    try:
        yield
    except (UserError, PermissionError):
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {remedy}") from error
    except Exception as error:  # damaged bytes make readers raise nearly anything
        raise UserError(f"{path} is damaged: {remedy} ({textwrap.shorten(str(error), MAX_REASON)})") from error


def run_command(main: Callable[[], None]) -> None:
    """Call `main`; report a `UserError`, a full disk, or a file or folder that cannot be used in one line, and exit.

    The exit code is 2, or 75 for a `TemporaryError`.
    """
    accept_any_text()
    try:
        main()
    except TemporaryError as error:
        _stop(str(error), code=EXIT_TRY_AGAIN)
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        where = error.filename or "a file"
        if error.errno in NO_SPACE:
            _stop(f"no space left while writing {where}: free some space and run again; finished results are kept")
        if error.errno in NO_PERMISSION:
            _stop(f"no permission for {where}: ask its owner, or choose another folder for data and results")
        if error.errno in WRONG_PATH:
            _stop(f"{where} cannot be used ({error.strerror}): move away what is there, or choose another path")
        if error.filename is not None:  # such as a folder below /proc, where none can be made
            _stop(f"{where} cannot be used ({error.strerror}): check this path, or choose another")
        raise


def format_message(message: object) -> str:
    """Return the line that states a mistake or a `NOTE` to a user: printable, whatever names it holds."""
    return f"prelude: {printable(' '.join(str(message).split()))}"


def _stop(message: str, *, code: int = EXIT_USER_ERROR) -> None:
    with contextlib.suppress(OSError):  # the log may be on the same full disk: the exit code remains
        print(format_message(message), file=sys.stderr, flush=True)
    sys.exit(code)
