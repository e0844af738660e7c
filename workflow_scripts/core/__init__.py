"""Errors, files, progress, provenance and shared command-line arguments; imports nothing of the project."""
