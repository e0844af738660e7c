"""Pre-training of an encoder by a set of workers."""
