"""The report as a folder of static pages: one module for each kind of page."""
