"""Layers and heads that encoders and workers are built from."""
