"""Audio effects on batches, on whatever device the audio is, each example with its own parameters."""
