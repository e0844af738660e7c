"""Quantities that are compared with published numbers."""
