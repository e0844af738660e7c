"""The U-Net gives the MSSPT code's numbers, in training mode too, and its published weights import by both namings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import golden
from workflow_scripts.checkpoints import import_networks
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude, unet
from workflow_scripts.levels import registry
from workflow_scripts.networks import msspt, spectrogram
from workflow_scripts.networks.sizes.spectrogram import frame_count, sample_count
from workflow_scripts.networks.unet_encoder import UNetEncoder

SAMPLES = 61792
NARROW = {"width": 0.25}
FOUR = {"sources": 4, "pooling": "average"}


def build(name: str = "unet", **options) -> UNetEncoder:
    torch.manual_seed(1)
    level = registry.load("encoder", name)
    return level.build(registry.options(level, options))


def to_published_names(
    case: golden.Case, *, named: str = "checkpoint_key", decorated: str = "{}"
) -> dict[str, torch.Tensor]:
    """The case's weights under the names a file has for them."""
    return {
        decorated.format(entry[named]): torch.from_numpy(
            golden.fill_values(entry["key"], entry["shape"], entry["fill"])
        )
        for entry in case.facts["params"]
    }


@pytest.fixture
def case_and_network() -> tuple[golden.Case, UNetEncoder]:
    case, encoder = golden.open_case("msspt_unet"), build()
    encoder.load_state_dict(msspt.select_unet_weights(to_published_names(case)))
    return case, encoder


def test_every_output_equals_the_official_code(case_and_network):
    case, encoder = case_and_network
    encoder.eval()
    seen: dict[str, torch.Tensor] = {}
    hook = encoder.network.contracting[1].register_forward_pre_hook(lambda *args: seen.update(pool1=args[-1][0]))
    with torch.no_grad():
        spectrum = spectrogram.compute_stft(case.input("x"))
        seen["magnitude"] = spectrum.abs()
        seen["inverse_of_mixture"] = spectrogram.invert_stft(spectrum)
        result = encoder.network(spectrogram.unet_log10(spectrum.abs()[:, None, :, :-1]))
        seen |= {"mask": result.mask, "bottom": result.bottom, "decoder_end": result.decoder[-1]}
        seen["y"] = spectrogram.invert_stft(spectrogram.apply_masks(spectrum, result.mask)[:, 0])
        hook.remove()
        encoder.train()
        seen["mask_train_mode"] = encoder.network(_logarithm(case.input("xtrain"))).mask
    channels_last = {name: maps.permute(0, 2, 3, 1) if maps.ndim == 4 else maps for name, maps in seen.items()}
    errors = {name: case.error(name, value) for name, value in channels_last.items()}
    assert set(errors) == {entry["name"] for entry in case.facts["outputs"]}
    assert max(errors.values()) <= 1, errors


def test_a_training_pass_equals_the_official_code(case_and_network):
    """Loss, gradients and moving statistics: Keras's momentum and epsilon are in the latter."""
    case, encoder = case_and_network
    encoder.train()
    mixture = spectrogram.compute_stft(case.input("xtrain"))
    result = encoder.network(spectrogram.unet_log10(mixture.abs()[:, None, :, :-1]))
    estimate = spectrogram.invert_stft(spectrogram.apply_masks(mixture, result.mask)[:, 0])
    loss = (estimate - case.input("target")).abs().mean()
    loss.backward()
    parameters = dict(encoder.named_parameters())
    for entry in case.facts["scalars"]:
        kind, _, key = entry["name"].partition(":")
        name = next(iter(msspt.select_unet_weights({key: torch.zeros(1)}))) if key else ""
        value = {
            "train_mae": lambda _: loss,
            "train_grad_norm": lambda name: parameters[name].grad.norm(),
            "after_one_train_forward_norm": lambda name: encoder.state_dict()[name].norm(),
        }[kind](name)
        error = case.scalar_error(entry["name"], float(value.detach()))
        assert error <= 1, f"{entry['name']}: {error:.2f} times the tolerance"


def _logarithm(audio: torch.Tensor) -> torch.Tensor:
    return spectrogram.unet_log10(spectrogram.compute_stft(audio).abs()[:, None, :, :-1])


@pytest.mark.parametrize(("options", "trained", "sources"), [({}, 3_921_061, 1), (FOUR, 3_921_928, 4)])
def test_sizes_are_those_measured_with_the_official_code(options, trained, sources):
    encoder = build(**options)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == trained
    moving = [value for key, value in encoder.state_dict().items() if "running" in key]
    assert sum(value.numel() for value in moving) == 4_708
    assert (encoder.separates, encoder.crop_length) == (sources, SAMPLES)
    shapes = [tuple(maps.shape[1:]) for maps in _maps(encoder).decoder]
    assert shapes == [(192, 12, 8), (192, 24, 16), (128, 48, 32), (64, 96, 64), (32, 192, 128), (16, 384, 256)]


def _maps(encoder: UNetEncoder):
    with torch.no_grad():
        return encoder.eval().maps(torch.randn(1, SAMPLES))


@pytest.mark.parametrize("named", ["key", "checkpoint_key"])
@pytest.mark.parametrize("decorated", ["{}", "model/{}", "{}/.ATTRIBUTES/VARIABLE_VALUE", "{}:0"])
def test_published_weights_import_by_every_naming(tmp_path, named, decorated):
    case = golden.open_case("msspt_unet")
    beside = {
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE": torch.tensor(20),
        "layer_with_weights-0/gamma/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE": torch.ones(1),
    }
    torch.save(to_published_names(case, named=named, decorated=decorated) | beside, tmp_path / "unet.pt")
    encoder, options = import_networks.import_encoder(
        import_networks.read_checkpoint(tmp_path / "unet.pt"), name="unet"
    )
    assert options == unet.Options()
    expected = msspt.select_unet_weights(to_published_names(case))
    torch.testing.assert_close(dict(encoder.state_dict()), expected, rtol=0, atol=0)


def _without(state: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: _without(state, "layer_with_weights-7/bias"),
            "lacks 1 of .*, first network.contracting.1.conv2.bias",
        ),
        (lambda state: _without(state, "layer_with_weights-58/kernel"), "no fitting network.mask.weight"),
        (lambda state: {"conv9/weight": torch.ones(1)}, "it holds no U-Net"),
        (lambda state: state | {"layer_with_weights-60/kernel": torch.ones(3)}, "1 tensors too many"),
        (lambda state: state | {"conv2d/bias": torch.ones(16)}, "twice"),
        (lambda state: state | {"layer_with_weights-5/kernel": torch.ones(3, 3, 9, 32)}, "has shape"),
        (lambda state: state | {"layer_with_weights-58/kernel": torch.ones(3, 3, 32, 4)}, "mask.bias has shape"),
        (
            lambda state: state | {"layer_with_weights-58/kernel": torch.ones(3, 3, 32, 3)},
            "separates 3 sources",
        ),
        (lambda state: state | {"layer_with_weights-3/kernel": torch.ones(3, 3, 16, 77)}, "which no width"),
    ],
)
def test_wrong_files_end_in_one_clear_line(tmp_path, change, message):
    torch.save(change(to_published_names(golden.open_case("msspt_unet"))), tmp_path / "unet.pt")
    with pytest.raises(UserError, match=message) as raised:
        import_networks.import_encoder(import_networks.read_checkpoint(tmp_path / "unet.pt"), name="unet")
    assert "\n" not in str(raised.value)


@settings(deadline=None, max_examples=10)
@given(frames=st.integers(1, 140), extra=st.integers(0, 159))
def test_any_length_gives_its_whole_windows(frames, extra):
    encoder = build(**NARROW).eval()
    samples = sample_count(frames) + extra
    with torch.no_grad():
        output = encoder(0.1 * torch.randn(2, samples))
    assert output.shape == (2, encoder.embedding_size, frames)
    assert encoder.pool(output).shape == (2, encoder.pooled_size)


def test_an_embedding_is_the_mean_of_each_scale():
    encoder, audio = build(**FOUR, **NARROW).eval(), 0.1 * torch.randn(2, SAMPLES)
    with torch.no_grad():
        embedding, maps = encoder.pool(encoder(audio)), encoder.maps(audio)
    expected = torch.cat([level.mean(dim=(2, 3)) for level in maps.decoder], dim=1)
    torch.testing.assert_close(embedding[:, -expected.shape[1] :], expected)
    assert embedding.shape[1] == expected.shape[1] + 48  # and the bottom


def test_the_last_channels_are_the_masks():
    encoder, audio = build(**FOUR, **NARROW).eval(), 0.1 * torch.randn(2, SAMPLES)
    with torch.no_grad():
        maps = encoder.maps(audio)
        masks = encoder(audio)[:, -4 * 256 :].unflatten(1, (4, 256)).transpose(2, 3)
    assert maps.masked.shape == (2, 4, 384, 256)
    torch.testing.assert_close(masks * maps.magnitude, maps.masked)


def test_a_chunk_is_a_multiple_of_64_frames():
    encoder = build(**NARROW)
    counts = [frame_count(encoder.chunk_length(seconds)) for seconds in (0.1, 0.662, 1.3, 3.862, 4.2)]
    assert counts == [64, 64, 128, 384, 448]
    assert encoder.chunk_length(3.862) == SAMPLES


@pytest.mark.parametrize("name", ["unet", "magnitude"])
def test_less_than_a_window_is_a_clear_error(name):
    encoder = build(name)
    with pytest.raises(UserError, match=r"needs at least 512 samples \(32 ms\), got 511"):
        encoder(torch.zeros(1, 511))


def test_a_pass_in_bfloat16_leaves_the_frames_float32():
    encoder, audio = build(**NARROW).eval(), 0.1 * torch.randn(1, SAMPLES)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        output, maps = encoder(audio), encoder.maps(audio)
    assert output.dtype == maps.masked.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(output, encoder(audio), rtol=0.1, atol=0.1)


def test_biases_that_normalisation_takes_off_do_not_move():
    encoder = build(**NARROW).train()
    encoder(torch.randn(2, 10592)).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        taken_off = name.endswith(("conv1.bias", "up.bias"))
        assert (parameter.grad.abs().max() == 0) == taken_off, name


def test_networks_of_other_numbers_of_sources_differ(tmp_path):
    torch.save(to_published_names(golden.open_case("msspt_unet")), tmp_path / "unet.pt")
    with pytest.raises(UserError, match=r"it holds sources 1, pooling max, .*, not sources 4, pooling average, "):
        import_networks.import_encoder(import_networks.read_checkpoint(tmp_path / "unet.pt"), name="unet", options=FOUR)


@pytest.mark.parametrize(
    ("bad", "allowed"),
    [
        ({"width": 0}, "above 0"),
        ({"momentum": 1.5}, "at most 1"),
        ({"sources": 2}, "1, 4"),
        ({"pooling": "median"}, "max, average"),
    ],
)
def test_options_are_checked(bad, allowed):
    with pytest.raises(UserError, match=f"options of unet: {next(iter(bad))}: .* is not allowed; allowed: .*{allowed}"):
        registry.options(unet, bad)


def test_magnitude_is_a_spectrogram_and_its_embedding_mean_log_mel():
    encoder, audio = build("magnitude"), 0.1 * torch.randn(2, 16000)
    maps, frames = encoder.maps(audio), encoder(audio)
    assert (maps.masked.shape[1], maps.decoder) == (0, ())
    reference = torch.stft(audio, 512, 160, window=torch.hann_window(512), center=False, return_complex=True).abs()
    torch.testing.assert_close(maps.magnitude[:, 0], reference.transpose(1, 2)[..., :256], rtol=1e-4, atol=1e-4)
    assert frames.shape == (2, 128, 97)
    torch.testing.assert_close(encoder.pool(frames), frames.mean(dim=-1))
    assert not list(encoder.parameters())
    assert magnitude.TRAINABLE is False


def test_a_tone_sounds_in_the_mel_band_around_it():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)[None]
    loudest = int(build("magnitude")(tone).mean(dim=-1).argmax())
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    centre = 700 * (10 ** ((mel(100) + (loudest + 1) * (mel(7800) - mel(100)) / 129) / 2595) - 1)
    assert abs(centre - 1000) < 35
