"""Data sets, one file each: their sources, facts and readers."""
