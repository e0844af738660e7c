"""Comparison of results with published numbers."""
