"""Features that workers learn to predict, equal to librosa's and named as there; each has 1 + samples // 160 frames."""
