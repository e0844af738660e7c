"""Prelude: a benchmark of pre-training for music classification."""

from workflow_scripts.core.account import adapt_environment

adapt_environment()  # before any module imports torch or numba
