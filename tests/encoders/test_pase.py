"""PASE gives the official code's numbers and keeps the encoder contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests import golden
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase
from workflow_scripts.levels import registry
from workflow_scripts.networks.sizes.pase import MIN_SAMPLES


class Official(nn.Module):
    """PASE behind the official input shape (batch, 1, samples), with bare keys."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = [encoder]  # in a list, so that keys get no prefix

    def state_dict(self, *args, **kwargs):
        return self.encoder[0].state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        return self.encoder[0].load_state_dict(*args, **kwargs)

    def named_parameters(self, *args, **kwargs):
        return self.encoder[0].named_parameters(*args, **kwargs)

    def train(self, mode: bool = True):
        self.encoder[0].train(mode)
        return self

    def forward(self, audio):
        return self.encoder[0](audio[:, 0])


@pytest.fixture
def official() -> tuple[golden.Case, Official]:
    case = golden.open_case("pase_emb100")
    model = Official(pase.build(pase.Options(embedding=100)))
    case.load_into(model)
    return case, model


def test_outputs_and_every_block_equal_the_official_code(official):
    case, model = official
    seen: dict[str, torch.Tensor] = {}
    for number, block in enumerate(model.encoder[0].blocks):
        block.register_forward_hook(lambda *args, name=f"block{number}": seen.update({name: args[-1]}))
    model.eval()
    with torch.no_grad():
        seen["y32000"] = model(case.input("x32000"))
        seen["y16000"] = model(case.input("x16000"))
    errors = {name: case.error(name, value) for name, value in seen.items()}
    assert set(errors) == {entry["name"] for entry in case.facts["outputs"]}
    assert max(errors.values()) <= 1, errors


def test_training_pass_equals_the_official_code(official):
    case, model = official
    case.check_training_pass(model, case.input("xtrain"))


@pytest.mark.parametrize(("embedding", "expected"), [(100, 5_818_020), (256, 5_898_048), (512, 6_029_376)])
def test_number_of_parameters(embedding, expected):
    encoder = pase.build(pase.Options(embedding=embedding))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected
    assert encoder.pooled_size == encoder.embedding_size == embedding


@pytest.mark.parametrize("samples", [480, 1000, 16000, 16001, 16150, 32000])
def test_one_frame_per_hop(samples):
    encoder = pase.build(pase.Options(embedding=8, width=0.05)).eval()
    assert encoder(torch.randn(2, samples)).shape == (2, 8, samples // encoder.hop)


def test_frames_round_as_in_the_official_code_just_below_a_whole_hop():
    encoder = pase.build(pase.Options(embedding=8, width=0.05)).eval()
    assert encoder(torch.randn(1, 15991)).shape[-1] == 100


def test_audio_too_short_for_the_padding_is_refused_in_one_line():
    encoder = pase.build(pase.Options(embedding=8, width=0.05)).eval()
    assert encoder(torch.randn(1, MIN_SAMPLES)).shape[-1] == 3
    with pytest.raises(UserError, match="at least 471 samples"):
        encoder(torch.randn(1, MIN_SAMPLES - 1))


def test_width_narrows_the_blocks_and_not_the_embedding():
    encoder = pase.build(pase.Options(embedding=512, width=0.05))
    assert [block.norm.num_features for block in encoder.blocks] == [4, 4, 6, 6, 13, 13, 26, 26]
    assert encoder.W.out_channels == 512


@pytest.mark.parametrize("bad", [{"embedding": 0}, {"width": 0.0}, {"width": float("nan")}])
def test_impossible_options_are_refused(bad):
    message = f"options of pase: {next(iter(bad))}: .*; allowed: (at least 1|above 0.0|a number( that is finite)?)$"
    with pytest.raises(UserError, match=message):
        registry.options(pase, bad)


def test_bf16_autocast_keeps_the_filters_and_the_output_in_float32():
    encoder = pase.build(pase.Options(embedding=8, width=0.1)).eval()
    audio = 0.3 * torch.randn(1, 8000)
    with torch.no_grad():
        exact_filtered, exact = encoder.blocks[0].conv(audio[:, None]), encoder(audio)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            filtered, rounded = encoder.blocks[0].conv(audio[:, None]), encoder(audio)
    torch.testing.assert_close(filtered, exact_filtered, rtol=0, atol=0)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
