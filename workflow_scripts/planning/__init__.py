"""From a checked config to runs, cells, jobs and their costs; never imports torch."""
