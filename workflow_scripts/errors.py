"""Errors a user can cause, and how a command line ends when one is raised."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

EXIT_USER_ERROR = 2  # argparse's own code for an unusable command line


class UserError(Exception):
    """Something the user can mend: its message is one line that says what is wrong and what to do."""


def run_command(main: Callable[[], None]) -> None:
    """Call `main`; end a `UserError` or a full disk in one line on stderr and exit code 2."""
    try:
        main()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _stop(
            f"no space left while writing {error.filename or 'a file'}: "
            "free some space and run again; finished results are kept"
        )


def _stop(message: str) -> None:
    print(f"prelude: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)
