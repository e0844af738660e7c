"""Metrics of one trial's predictions, as `statistics.metrics` defines them for every later use as well. Torch-free."""

from workflow_scripts.statistics.metrics import confusion, metrics

__all__ = ["confusion", "metrics"]
