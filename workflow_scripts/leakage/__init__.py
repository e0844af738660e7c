"""Finding audio that is where it must not be: the same recording, track or artist in training and in test."""
