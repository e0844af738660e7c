"""Measured qualities of a clip's sound, in the order of their embedding."""

from __future__ import annotations

#: name and unit
QUALITIES = {
    "level": "dB",
    "spectral centroid": "Hz",
    "spectral flatness": "",
    "onset rate": "per second",
    "attack time": "s",
    "harmonic share": "",
}
