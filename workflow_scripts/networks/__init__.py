"""Networks of encoders, heads and workers, and the layers they share."""
