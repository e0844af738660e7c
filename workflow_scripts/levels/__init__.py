"""Factors, the registry of levels, and the base classes of their options."""
