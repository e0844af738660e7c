"""Acquisition of data sets: remote files, downloads and safe unpacking."""
