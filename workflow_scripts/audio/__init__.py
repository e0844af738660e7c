"""Decoding, resampling and the prepared corpus."""
