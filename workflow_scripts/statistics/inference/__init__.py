"""Statistical inference on arrays; imports numpy and scipy only."""
