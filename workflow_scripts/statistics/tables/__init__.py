"""The result tables: cells, table entries, comparisons, ranks."""
