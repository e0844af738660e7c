"""Twins, one file per data set: synthetic audio and labels in the set's real on-disk layout."""
