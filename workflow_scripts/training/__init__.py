"""Training loops, trials and metrics."""
