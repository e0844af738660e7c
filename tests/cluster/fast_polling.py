"""Snakemake's command line with its SLURM jobs polled every second; the plugin waits longer if no job has ended."""

from __future__ import annotations

import asyncio
import signal

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main


async def sleep_one_second(_: object) -> None:
    """Sleep for one second instead of the interval chosen by the plugin."""
    await asyncio.sleep(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    plugin.Executor.sleep = sleep_one_second
    main()
