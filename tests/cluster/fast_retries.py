"""Snakemake's command line, but looking at its SLURM jobs every second: the plugin waits longer whenever none ended."""

from __future__ import annotations

import asyncio

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main


async def short(_: object) -> None:
    """Sleep for a second, whatever the plugin has chosen."""
    await asyncio.sleep(1)


if __name__ == "__main__":
    plugin.Executor.sleep = short
    main()
