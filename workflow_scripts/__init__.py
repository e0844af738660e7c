"""Prelude: a benchmark of pre-training for music classification."""

from workflow_scripts.core.account import adapt_environment
from workflow_scripts.core.late_library import load_late

adapt_environment()  # before any module imports torch or numba
load_late("pandas")
