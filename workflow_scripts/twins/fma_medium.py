"""Twin of FMA medium: tracks by invented artists of sixteen unequal genres, some marked small, in the real layout."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.synthesis import fma_twin


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files."""
    fma_twin.write(root, twin, subset="medium")
