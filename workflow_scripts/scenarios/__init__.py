"""Scenarios (what is trained downstream), one file each."""
