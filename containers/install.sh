#!/bin/sh
# Make the virtual environment FOLDER with the packages of pyproject.toml in the versions of constraints.txt:
#     [PYTHON=python3.11] sh containers/install.sh FOLDER
# The Makefile and the recipes of images call it, so that all have the same packages.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Prelude needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
"$python" -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
# librosa's functions are compiled at its first import. Two processes that do so at once leave a cache that crashes every
# later one (numba's index is not locked), so it happens here.
EAGER_IMPORT=1 "$1/bin/python" -c 'import librosa'
