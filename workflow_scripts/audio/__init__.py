"""Decoding, resampling and prepared corpora."""
