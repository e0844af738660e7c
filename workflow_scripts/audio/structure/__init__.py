"""Structure of audio files, read without decoding: lengths that are exact, missing parts, checksums, joined streams."""
