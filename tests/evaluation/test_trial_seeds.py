"""Random generators of trials, and settings of their training."""

from __future__ import annotations

import numpy as np
import pytest

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.evaluation import trial_seeds

ROWS = np.arange(0, 240, 2)  # training rows of a corpus of 240


def test_settings_come_from_a_config_and_errors_name_unknown_keys():
    assert parse(EvaluationProtocol, {"batch": 8}, where="training") == EvaluationProtocol(batch=8)
    with pytest.raises(UserError, match=r"training: unknown key 'bach' \(did you mean batch\?\); allowed: batch"):
        parse(EvaluationProtocol, {"bach": 8}, where="training")
    with pytest.raises(UserError, match="training: patience: 0 is not allowed; allowed: at least 1"):
        parse(EvaluationProtocol, {"patience": 0}, where="training")


def test_seeds_never_change():
    assert [trial_seeds.trial_seed(trial) for trial in range(3)] == [2968811710, 1835504127, 2834126987]
    assert trial_seeds.make_rng("order", 0, 0).integers(1000, size=3).tolist() == [188, 666, 825]


def test_each_purpose_trial_and_counter_has_its_own_random_numbers():
    draws = [
        trial_seeds.make_rng(purpose, trial, counter).random()
        for purpose in trial_seeds.PURPOSES
        for trial in range(3)
        for counter in range(3)
    ]
    assert len(set(draws)) == len(draws)


def test_the_order_is_a_permutation_that_depends_on_epoch_and_trial():
    orders = [trial_seeds.shuffle_rows(ROWS, trial=trial, epoch=epoch).tolist() for trial in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == ROWS.tolist() for order in orders)
    assert len({tuple(order) for order in orders}) == 4
