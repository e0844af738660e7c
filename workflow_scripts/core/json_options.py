"""Options of a level on a command line, as a JSON object."""

from __future__ import annotations

from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse_json


def parse_options(text: str) -> dict[str, Any]:
    """Return the options that `--options` states; raises `UserError` if it is no JSON object."""
    try:
        options = parse_json(text)
    except ValueError as error:
        raise UserError(f"--options: not JSON ({error})") from error
    if not isinstance(options, dict):
        raise UserError('--options: give a JSON object, such as {"embedding": 256}')
    return options
