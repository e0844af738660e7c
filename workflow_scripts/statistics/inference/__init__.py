"""Statistical inference on arrays: numpy, scipy and statsmodels, and nothing of this project but its errors."""
