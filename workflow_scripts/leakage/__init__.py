"""Detection of leaks: the same recording, track or artist in training and in test data."""
