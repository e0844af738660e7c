"""The factors of an experiment, in the order of paths and tables."""

from __future__ import annotations

PRETRAINING = ("corpus", "encoder", "workers", "weighting", "augmentation", "recipe", "pretrain_seed")  # of a run
DOWNSTREAM = ("dataset", "head", "scenario", "fraction", "protocol")  # of a cell
FACTORS = (*PRETRAINING, *DOWNSTREAM)
NONE = "none"  # level of every pre-training factor but the seed of an encoder that was not pre-trained
