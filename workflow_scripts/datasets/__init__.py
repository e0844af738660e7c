"""Data sets, one file each: where they come from, what they hold, how their files are read."""
