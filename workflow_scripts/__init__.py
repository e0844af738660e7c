"""Prelude: a benchmark of pre-training for music classification."""
