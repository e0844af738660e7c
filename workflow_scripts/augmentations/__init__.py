"""Augmentations of the audio that an encoder receives, one file each."""
