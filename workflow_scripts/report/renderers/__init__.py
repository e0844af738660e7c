"""Renderers of a study's table, one format in each module, all with the same texts in their cells."""
