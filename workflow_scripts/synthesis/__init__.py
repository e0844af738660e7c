"""Composition and rendering of the music of the twins."""
