"""Augmentations of the audio an encoder hears, one file each."""
