"""Key formats of the CLMR code's checkpoints, old and new."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError

#: what stands before the encoder's keys: in Lightning's files both, each a copy of the same weights
PREFIXES = ("model.encoder.", "encoder.", "")
#: block N of early files is called convN+1
EARLY_NAME = re.compile(r"conv(\d+)\.(.+)")
CLASSIFIER = ("fc.weight", "fc.bias")  # of a supervised network, or never trained: not part of the encoder


def samplecnn_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SampleCNN's weights by the names of its blocks, without projector and classifier.

    Raises `UserError` if there are none, or if two copies in the file differ.
    """
    copies = [found for prefix in PREFIXES if (found := _with_prefix(state, prefix))]
    if not copies:
        raise UserError("it holds no SampleCNN: neither sequential.0.0.weight nor conv1.0.weight, with any prefix")
    for other in copies[1:]:
        if other.keys() != copies[0].keys() or not all(torch.equal(other[key], copies[0][key]) for key in other):
            raise UserError("it holds two encoders that differ: save the one you want alone")
    return copies[0]


def _with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        name = _block_name(key.removeprefix(prefix)) if key.startswith(prefix) else ""
        if name.startswith("sequential."):
            found[name] = value
    return found


def _block_name(name: str) -> str:
    early = EARLY_NAME.fullmatch(name)
    return f"sequential.{int(early[1]) - 1}.{early[2]}" if early else name


def cpc_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The CPC encoder's weights, without its unused classifier and the predictor of the loss."""
    bare = {key.removeprefix("model."): value for key, value in state.items()}
    parts = ("encoder.seq.", "autoregressor.autoregressor.")
    return {key: value for key, value in bare.items() if key.startswith(parts)}
