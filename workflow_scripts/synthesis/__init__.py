"""Composing and rendering the music of the twins."""
