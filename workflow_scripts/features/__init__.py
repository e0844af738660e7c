"""Features the workers learn to predict, equal to librosa's: every one has 1 + samples // 160 frames."""
