"""Base class of the options of levels."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator

from workflow_scripts.core.validation import StrictModel

#: path of a user's file or folder; `~` is the home folder
UserPath = Annotated[str, AfterValidator(os.path.expanduser)]


class LevelOptions(StrictModel):
    """Options of one level: every field has a type, bounds and a description; all have a default.

    A check of several fields is a pydantic `model_validator` that raises `ValueError` with one line for the user.
    """
