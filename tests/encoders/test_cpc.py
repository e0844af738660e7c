"""The CPC encoder gives the official code's numbers and keeps the encoder contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests import golden
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import cpc
from workflow_scripts.levels import registry
from workflow_scripts.workers import predictive_coding
from workflow_scripts.workers._predictive_coding import Draws
from workflow_scripts.workers.predictive_coding import Options

SMALL = {"width": 0.02}


class Official(nn.Module):
    """Encoder and worker with the official keys, an unused classifier among them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        encoder = cpc.build(cpc.Options())
        self.parts = [encoder, predictive_coding.build(Options(), embedding_size=encoder.embedding_size)]  # no keys
        self.model.encoder = encoder.encoder
        self.model.encoder.fc = nn.Linear(512, 50)
        self.model.autoregressor = encoder.autoregressor
        self.model.loss = nn.Module()
        self.model.loss.predictor = self.parts[1].predictor

    def split(self, audio: torch.Tensor) -> list[torch.Tensor]:
        """Frames and context, (batch, frames, channels) each."""
        return [part.transpose(1, 2) for part in self.parts[0](audio[:, 0]).split([512, 256], dim=1)]


@pytest.fixture
def official() -> tuple[golden.Case, Official]:
    case, model = golden.open_case("cpc_encoder_gru"), Official()
    case.load_into(model)
    return case, model.eval()


def draws_of(case: golden.Case) -> Draws:
    return Draws(
        orders=torch.from_numpy(case.arrays["infonce_perms"]).long(), first=int(case.arrays["infonce_window_begin"])
    )


def test_frames_and_context_equal_the_official_code(official):
    case, model = official
    with torch.no_grad():
        latent, context = model.split(case.input("x"))
        pooled = model.parts[0].pool(model.parts[0](case.input("x")[:, 0]))
    tensors = {"z": latent, "c": context, "c_time_mean": pooled}
    errors = {name: case.error(name, value) for name, value in tensors.items()}
    assert max(errors.values()) <= 1, errors


def test_the_loss_of_the_audio_and_its_gradients_equal_the_official_code(official):
    case, model = official
    worker = model.parts[1]
    loss = worker.info_nce(*model.split(case.input("x")), draws_of(case))
    loss.backward()
    tensors = {"infonce_loss": loss} | {
        f"infonce_grad_norm:{key}": parameter.grad.norm()
        for key, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    stated = [entry["name"] for entry in case.facts["scalars"] if not entry["name"].startswith("infonce_direct")]
    errors = {name: case.scalar_error(name, float(tensors[name].detach())) for name in stated}
    assert max(errors.values()) <= 1, errors


def test_the_loss_of_given_frames_and_its_gradients_equal_the_official_code(official):
    case, model = official
    latent, context = (case.input(name).requires_grad_() for name in ("z_direct", "c_direct"))
    loss = model.parts[1].info_nce(latent, context, draws_of(case))
    loss.backward()
    assert case.scalar_error("infonce_direct_loss", float(loss.detach())) <= 1
    assert case.error("infonce_direct_grad_z", latent.grad) <= 1
    assert case.error("infonce_direct_grad_c", context.grad) <= 1


def test_sizes_are_those_measured_with_the_official_code():
    encoder = cpc.build(cpc.Options())
    counts = [sum(p.numel() for p in part.parameters()) for part in (encoder.encoder, encoder.autoregressor, encoder)]
    assert counts == [5_775_872, 591_360, 6_367_232]
    worker = predictive_coding.build(Options(), embedding_size=encoder.embedding_size)
    assert sum(parameter.numel() for parameter in worker.parameters()) == 2_621_440
    assert (encoder.sample_rate, encoder.hop, encoder.embedding_size, encoder.context_size) == (22050, 480, 768, 256)
    assert encoder.pooled_size == 256


@pytest.mark.parametrize(("pooled", "size"), [("context", 5), ("both", 15)])
def test_a_clip_is_the_mean_of_the_context_or_of_all(pooled, size):
    encoder = cpc.build(cpc.Options(**SMALL, pooled=pooled))
    frames = torch.randn(3, encoder.embedding_size, 7)
    assert encoder.pooled_size == size
    torch.testing.assert_close(encoder.pool(frames), frames[:, -size:].mean(-1))


def test_the_context_knows_no_later_frame():
    encoder = cpc.build(cpc.Options(**SMALL)).eval()
    audio = torch.randn(1, 59049)
    changed = audio.clone()
    changed[:, 30000:] = 0
    with torch.no_grad():
        before, after = encoder(audio), encoder(changed)
    assert before.shape[-1] == 124
    torch.testing.assert_close(before[..., :60], after[..., :60])  # 60 frames end before sample 30000
    assert not torch.allclose(before[:, -5:, -1], after[:, -5:, -1])


def test_too_little_audio_is_a_clear_error():
    encoder = cpc.build(cpc.Options(**SMALL))
    with pytest.raises(UserError, match=r"CPC needs at least 480 samples \(21.8 ms\), got 479"):
        encoder(torch.zeros(1, 479))
    assert torch.isfinite(encoder(torch.randn(1, 480))).all()


@pytest.mark.parametrize("bad", [{"width": 0}, {"pooled": "last"}])
def test_impossible_options_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        registry.options(cpc, bad)


def test_kaiming_initialisation_keeps_the_level_of_the_signal_which_fades_with_the_default():
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(2, 48000)
    levels = {}
    for initialisation in ("default", "kaiming"):
        encoder = cpc.build(cpc.Options(width=0.25, initialisation=initialisation))
        with torch.no_grad():
            levels[initialisation] = float(encoder.encoder(audio).std(dim=-1).mean() / audio.std())
    assert levels["kaiming"] > 0.1
    assert levels["default"] < 0.01
