"""Filters of an encoder's last layer: what they respond to (Spijkervet 2021, chapter 7)."""
