"""Heads (classifiers on an encoder's output), one file each."""
