"""Encoder files and published checkpoints."""
