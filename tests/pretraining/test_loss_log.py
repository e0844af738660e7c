"""Losses read several steps at a time are the same losses, and the first one that is not finite is named."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.loss_log import LossLog, LossReader

LOSSES = [{"lps": torch.tensor(float(step)), "mfcc": torch.tensor(2.0 * step)} for step in range(1, 8)]


@pytest.mark.parametrize("every", [1, 3, 100])
def test_reading_less_often_does_not_change_the_means(every):
    loss_log = LossLog()
    reader = LossReader(loss_log, ["lps", "mfcc"], every=every)
    for step, losses in enumerate(LOSSES):
        reader.add(step, losses)
    reader.read()
    loss_log.close_epoch(epoch=1, split="train", weights={"lps": 1.0, "mfcc": 0.5})
    assert loss_log.to_csv() == "epoch,split,worker,loss,weight\n1,train,lps,4,1\n1,train,mfcc,8,0.5\n"
    assert LossLog.from_state(loss_log.to_state()) == loss_log


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_step_with_a_bad_loss_is_named_even_if_read_later(bad):
    reader = LossReader(LossLog(), ["lps", "mfcc"], every=5)
    spoiled = [losses if step < 1 else losses | {"mfcc": torch.tensor(bad)} for step, losses in enumerate(LOSSES)]
    for step, losses in enumerate(spoiled[:4]):
        reader.add(step, losses)
    with pytest.raises(UserError, match=f"loss of worker mfcc is {bad} in step 2"):
        reader.add(4, spoiled[4])
