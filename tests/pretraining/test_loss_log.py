"""Losses read a few at a time are the same losses, and the first bad one is named."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.loss_log import History, LossReader

LOSSES = [{"lps": torch.tensor(float(step)), "mfcc": torch.tensor(2.0 * step)} for step in range(1, 8)]


@pytest.mark.parametrize("every", [1, 3, 100])
def test_reading_seldom_changes_no_mean(every):
    history = History()
    reader = LossReader(history, ["lps", "mfcc"], every=every)
    for step, losses in enumerate(LOSSES):
        reader.add(step, losses)
    reader.read()
    history.close(epoch=1, split="train", weights={"lps": 1.0, "mfcc": 0.5})
    assert history.as_csv() == "epoch,split,worker,loss,weight\n1,train,lps,4,1\n1,train,mfcc,8,0.5\n"
    assert History.from_state(history.as_state()) == history


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_step_is_named_however_late_it_is_read(bad):
    reader = LossReader(History(), ["lps", "mfcc"], every=5)
    spoilt = [losses if step < 1 else losses | {"mfcc": torch.tensor(bad)} for step, losses in enumerate(LOSSES)]
    for step, losses in enumerate(spoilt[:4]):
        reader.add(step, losses)
    with pytest.raises(UserError, match=f"loss of worker mfcc is {bad} in step 2"):
        reader.add(4, spoilt[4])
