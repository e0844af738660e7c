"""SampleCNN gives the official code's numbers at 22050 Hz and the measured sizes at every rate."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests import golden
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import samplecnn
from workflow_scripts.levels import registry
from workflow_scripts.networks.samplecnn import SampleCnn
from workflow_scripts.networks.sizes.samplecnn import POOLING

#: rate -> samples, lengths after each block, parameters without the classifier (measured with the official code)
MEASURED = {
    22050: (59049, [19683, 6561, 2187, 729, 243, 81, 27, 9, 3, 1, 1], 2_368_512),
    16000: (43740, [14580, 4860, 1620, 540, 180, 60, 20, 3, 2, 1, 1], 2_302_976),
    12000: (31104, [10368, 3456, 1152, 384, 128, 64, 15, 3, 2, 1, 1], 2_237_440),
    8000: (20736, [6912, 2304, 768, 256, 128, 64, 15, 3, 2, 1, 1], 2_171_904),
}
NARROW = {"width": 0.05}


def options_at(rate: int, **options) -> samplecnn.Options:
    return registry.options(samplecnn, {"sample_rate": rate, **options})


def build(rate: int, **options) -> SampleCnn:
    torch.manual_seed(rate)
    return samplecnn.build(options_at(rate, **options))


class Official(nn.Module):
    """The encoder with the official classifier and input shape (batch, 1, samples)."""

    def __init__(self) -> None:
        super().__init__()
        encoder = build(22050)
        self.sequential = encoder.sequential
        self.fc = nn.Linear(512, 50)
        self.encoder = [encoder]  # in a list, so that its keys do not come twice

    def features(self, audio: torch.Tensor) -> torch.Tensor:
        return self.encoder[0](audio[:, 0])[..., 0]

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(audio))


@pytest.fixture
def official() -> tuple[golden.Case, Official]:
    case, model = golden.open_case("samplecnn_22050"), Official()
    case.load_into(model)
    return case, model


def test_outputs_and_every_block_equal_the_official_code(official):
    case, model = official
    seen: dict[str, torch.Tensor] = {}
    for number, block in enumerate(model.sequential[:-1]):
        block.register_forward_hook(lambda *args, name=f"stage{number}": seen.update({name: args[-1]}))
    model.eval()
    with torch.no_grad():
        seen["features"] = model.features(case.input("x"))
        seen["logits"] = model(case.input("x"))
        errors = {name: case.error(name, value) for name, value in seen.items()}
        model.train()
        errors["logits_train_mode"] = case.error("logits_train_mode", model(case.input("x")))
    assert set(errors) == {entry["name"] for entry in case.facts["outputs"]}
    assert max(errors.values()) <= 1, errors


def test_training_pass_equals_the_official_code(official):
    case, model = official
    case.check_training_pass(model, case.input("x"))


@pytest.mark.parametrize("rate", MEASURED)
def test_sizes_are_those_measured_with_the_official_code(rate):
    samples, lengths, parameters = MEASURED[rate]
    encoder, seen = build(rate).eval(), []
    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters
    for block in encoder.sequential:
        block.register_forward_hook(lambda *args: seen.append(args[-1].shape[-1]))
    with torch.no_grad():
        frames = encoder(torch.zeros(1, samples))
    assert seen == lengths
    assert frames.shape == (1, 512, 1)
    assert (encoder.sample_rate, encoder.hop, encoder.crop_length) == (rate, samples, samples)
    assert (samplecnn.sample_rate(options_at(rate)), samplecnn.hop(options_at(rate))) == (rate, samples)


def test_every_rate_of_the_code_is_allowed_and_no_other():
    assert set(POOLING) == set(MEASURED) == {samplecnn.sample_rate(options_at(rate)) for rate in POOLING}
    with pytest.raises(UserError, match="sample_rate: 44100 is not allowed; allowed: 8000, 12000, 16000, 22050"):
        options_at(44100)


@pytest.mark.parametrize("rate", [22050, 8000])
def test_each_window_becomes_the_frame_it_has_alone(rate):
    encoder = build(rate, **NARROW).eval()
    window = encoder.window
    audio = torch.randn(2, 3 * window + 1000)
    with torch.no_grad():
        frames = encoder(audio)
        assert frames.shape == (2, encoder.embedding_size, 3)
        for number in range(3):
            alone = encoder(audio[:, number * window : (number + 1) * window])[..., 0]
            torch.testing.assert_close(frames[..., number], alone)


def test_less_than_a_window_is_a_clear_error():
    encoder = build(8000, **NARROW)
    with pytest.raises(UserError, match=r"needs at least 20736 samples \(2.59 s\), got 20735"):
        encoder(torch.zeros(1, 20735))


def test_a_chunk_is_whole_windows():
    encoder = build(22050, **NARROW)
    counts = [encoder.chunk_length(seconds) // 59049 for seconds in (0.1, 2.678, 3.9, 4.1, 8.03)]
    assert counts == [1, 1, 1, 2, 3]
    assert encoder.chunk_length(2.7) % 59049 == 0


def test_dropout_is_for_learning_from_labels_alone():
    encoder, audio = build(8000, **NARROW), torch.randn(4, 20736)
    encoder.sequential.eval()
    plain = encoder(audio)
    torch.testing.assert_close(encoder(audio), plain)
    encoder.start_supervised()
    dropped = encoder(audio)
    kept = dropped != 0
    assert 0.2 < kept[plain > 0].float().mean() < 0.8
    torch.testing.assert_close(dropped[kept], 2 * plain[kept])
    encoder.eval()
    torch.testing.assert_close(encoder(audio), plain)
    assert list(build(8000, **NARROW).state_dict()) == list(encoder.state_dict())


def test_autocast_leaves_the_frames_float32():
    encoder = build(8000, **NARROW).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(torch.randn(1, 20736)).dtype == torch.float32


def test_the_network_is_the_plain_stack_of_its_blocks():
    """An independent reading of the table: convolution with padding 1, normalisation, ReLU and pooling of one size."""
    encoder, audio = build(16000, **NARROW).eval(), torch.randn(2, 43740)
    state = encoder.state_dict()
    maps = audio[:, None]
    for number, size in enumerate([None, *POOLING[16000], None]):
        weight, bias = (state[f"sequential.{number}.0.{name}"] for name in ("weight", "bias"))
        maps = functional.conv1d(maps, weight, bias, stride=3 if number == 0 else 1, padding=int(number > 0))
        names = ("running_mean", "running_var", "weight", "bias")
        maps = functional.batch_norm(maps, *(state[f"sequential.{number}.1.{name}"] for name in names)).relu()
        maps = maps if size is None else functional.max_pool1d(maps, size)
    torch.testing.assert_close(encoder(audio), maps)


@pytest.mark.parametrize("bad", [{"width": 0}, {"supervised_dropout": 1.0}, {"supervised_dropout": -0.1}])
def test_impossible_options_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        registry.options(samplecnn, bad)
