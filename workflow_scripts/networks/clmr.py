"""Key formats of the CLMR code's checkpoints, old and new."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError

#: prefixes of the encoder's keys: Lightning's files have both, each with a copy of the same weights
PREFIXES = ("model.encoder.", "encoder.", "")
#: block N of early files is called convN+1
EARLY_NAME = re.compile(r"conv(\d+)\.(.+)")


def select_samplecnn_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return SampleCNN's weights by the names of its blocks, without projector and classifier.

    Raises `UserError` if there are none, or if two copies in the file differ.
    """
    copies = [copy for prefix in PREFIXES if (copy := _select_prefix(state, prefix))]
    if not copies:
        raise UserError("it holds no SampleCNN: neither sequential.0.0.weight nor conv1.0.weight, with any prefix")
    for other in copies[1:]:
        if other.keys() != copies[0].keys() or not all(torch.equal(other[key], copies[0][key]) for key in other):
            raise UserError("it holds two encoders that differ: save the one you want alone")
    return copies[0]


def _select_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights of blocks whose keys begin with `prefix`, without it."""
    weights = {}
    for key, value in state.items():
        name = _block_name(key.removeprefix(prefix)) if key.startswith(prefix) else ""
        if name.startswith("sequential."):
            weights[name] = value
    return weights


def _block_name(name: str) -> str:
    """Return the present name of a block's weights."""
    early = EARLY_NAME.fullmatch(name)
    return f"sequential.{int(early[1]) - 1}.{early[2]}" if early else name


def select_cpc_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the CPC encoder's weights, without its unused classifier and the predictor of the loss."""
    bare = {key.removeprefix("model."): value for key, value in state.items()}
    parts = ("encoder.seq.", "autoregressor.autoregressor.")
    return {key: value for key, value in bare.items() if key.startswith(parts)}
