"""The head of one weight for each layer."""

from __future__ import annotations

import torch

from workflow_scripts.evaluation.trial_heads import initial_parameters
from workflow_scripts.heads import linear, weighted_layers


def test_it_starts_as_a_linear_head_on_the_mean_of_the_layers():
    head = weighted_layers.build(weighted_layers.Options(layers=3), inputs=12, outputs=2)
    values = initial_parameters(head, range(2))
    inputs = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    alone = linear.build(linear.Options(), inputs=4, outputs=2)
    expected = alone.apply(initial_parameters(alone, range(2)), inputs.view(2, 5, 3, 4).mean(2))
    torch.testing.assert_close(head.apply(values, inputs), expected)


def test_the_weights_of_each_trial_choose_its_layer():
    head = weighted_layers.build(weighted_layers.Options(layers=3), inputs=12, outputs=2)
    values = initial_parameters(head, range(2))
    values["layer_weight"] = torch.tensor([[[99.0], [0], [0]], [[0], [0], [99.0]]])
    inputs = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    expected = head.linear.apply(values, torch.stack([inputs[0, :, :4], inputs[1, :, 8:]]))
    torch.testing.assert_close(head.apply(values, inputs), expected)
