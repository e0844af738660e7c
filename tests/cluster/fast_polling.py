"""Snakemake's command line with its SLURM jobs polled every second; the plugin waits longer if no job has ended."""

from __future__ import annotations

import asyncio

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main


async def sleep_one_second(_: object) -> None:
    """Sleep for one second instead of the interval chosen by the plugin."""
    await asyncio.sleep(1)


if __name__ == "__main__":
    plugin.Executor.sleep = sleep_one_second
    main()
