"""Kinds of figures, one file each; never imports torch."""
