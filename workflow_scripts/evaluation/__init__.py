"""Downstream evaluation: trials of heads on frozen or fine-tuned encoders."""
