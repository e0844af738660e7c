"""The Audio Spectrogram Transformer as a head: alone on a spectrogram, and behind a U-Net."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.networks.test_audio_spectrogram_transformer import deit
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude, unet
from workflow_scripts.heads import ast
from workflow_scripts.heads.ast import Options
from workflow_scripts.levels import registry
from workflow_scripts.networks.ast_head import AstHead
from workflow_scripts.networks.audio_spectrogram_transformer import Ast
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.sizes.audio_spectrogram_transformer import SIZES

NARROW = 0.125
DECODER = [24, 24, 16, 8, 4, 4]
TINY = {"size": "tiny", "imagenet": False}


def head(*, sources: int = 0, **options) -> AstHead:
    torch.manual_seed(0)
    return ast.build(
        Options(**{**TINY, **options}), sources=sources, decoder=DECODER if sources else (), outputs=3
    ).eval()


def heard_maps(encoder, samples: int) -> Maps:
    torch.manual_seed(1)
    with torch.no_grad():
        return encoder.eval().maps(0.1 * torch.randn(1, samples))


def narrow_unet():
    torch.manual_seed(2)
    return unet.build(unet.Options(width=NARROW))


def test_it_reads_maps():
    assert ast.READS == "maps"


@pytest.mark.parametrize(("frames", "samples"), [(384, 61_792), (768, 123_232)])
@pytest.mark.parametrize(
    ("build", "sources"),
    [
        (lambda: magnitude.build(magnitude.Options()), 0),
        (narrow_unet, 1),
        (lambda: unet.build(unet.Options(sources=4, pooling="average", width=NARROW)), 4),
    ],
)
def test_it_fits_every_encoder_with_maps(build, sources, frames, samples):
    built = head(sources=sources, frames=frames)
    assert (built.samples, built.hop) == (samples, 160 * frames)
    with torch.no_grad():
        assert built(heard_maps(build(), samples)).shape == (1, 3)


@pytest.mark.parametrize(
    ("order", "blocks"), [("fine_to_coarse", (10, 8, 6, 4, 2)), ("coarse_to_fine", (2, 4, 6, 8, 10))]
)
def test_every_map_but_the_finest_is_added_before_a_second_block(order, blocks):
    built, maps = head(sources=1, order=order), heard_maps(narrow_unet(), 61_792)
    inputs: list[torch.Tensor] = []
    for block in built.network.v.blocks:
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        built(maps)
        plain = list(inputs)
        for level, block in enumerate((*blocks, 12)):
            inputs.clear()
            decoder = [features + 3.0 * (place == level) for place, features in enumerate(maps.decoder)]
            built(Maps(magnitude=maps.magnitude, masked=maps.masked, decoder=tuple(decoder)))
            assert [n for n in range(12) if not torch.equal(inputs[n], plain[n])] == list(range(block, 12))


def test_without_adaptation_only_the_separated_sources_are_inputs():
    built, maps = head(sources=1, adaptation="none"), heard_maps(narrow_unet(), 61_792)
    with torch.no_grad():
        plain = built(maps)
        assert torch.equal(plain, built(Maps(magnitude=maps.magnitude, masked=maps.masked)))
        assert not torch.equal(plain, built(Maps(magnitude=maps.magnitude, masked=0 * maps.masked)))


def test_windows_are_scaled_one_by_one_and_silence_is_finite():
    built = head()
    inputs = []
    built.network.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    torch.manual_seed(4)
    magnitude_ = torch.rand(3, 1, 384, 256) * torch.tensor([1.0, 100.0, 0.0])[:, None, None, None]
    with torch.no_grad():
        together = built(Maps(magnitude=magnitude_, masked=magnitude_[:, :0]))
        alone = built(Maps(magnitude=magnitude_[:1], masked=magnitude_[:1, :0]))
    for window in inputs[0][:2]:
        torch.testing.assert_close(torch.stack([window.min(), window.max()]), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(together).all()


def test_what_the_head_learned_alone_serves_every_channel_and_adapters_keep_theirs():
    alone, joint = head(), head(sources=4)
    with torch.no_grad():
        for value in alone.state_dict().values():
            value.add_(1)
    before = {key: value.clone() for key, value in joint.state_dict().items()}
    joint.initialise_from(alone)
    learned = alone.state_dict()
    for key, value in joint.state_dict().items():
        if key.startswith("adapters"):
            assert torch.equal(value, before[key])
        else:
            assert torch.equal(value, learned[key].expand_as(value)), key


def test_imagenet_weights_come_from_a_file(tmp_path):
    state = deit(24)
    torch.save({"model": state}, tmp_path / "deit.pth")  # as the authors of DeiT save it
    built = head(imagenet=True, checkpoint=str(tmp_path / "deit.pth"))
    assert torch.equal(built.network.v.blocks[3].mlp.fc1.weight, state["blocks.3.mlp.fc1.weight"])


@pytest.fixture
def nothing_read_yet():
    ast._read_imagenet.cache_clear()  # weights are read once for all heads of a process
    yield
    ast._read_imagenet.cache_clear()


@pytest.mark.usefixtures("nothing_read_yet")
def test_imagenet_weights_come_from_timm_once_for_all_heads(monkeypatch):
    calls, real = [], timm.create_model

    def create(name, *, pretrained):
        calls.append((name, pretrained))
        return real(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", create)
    digest = ast.weights_digest(Options(size="tiny"))
    built, other = head(imagenet=True), head(imagenet=True, sources=1)
    assert calls == [("deit_tiny_distilled_patch16_224", True)]
    assert built.network.v.pos_embed.shape == (1, 386, 192)
    assert torch.equal(built.network.v.cls_token, other.network.v.cls_token)
    with torch.no_grad():
        built.network.v.blocks[0].attn.qkv.weight.zero_()
    assert ast.weights_digest(Options(size="tiny")) == digest, "what a head learns stays its own"


def test_the_distilled_deit_of_timm_fits_every_size():
    for size in ("tiny", "small", "base"):
        with torch.device("meta"):
            theirs = timm.create_model(SIZES[size].deit, pretrained=False).state_dict()
            ours = Ast(SIZES[size], outputs=2, stride=8).v.state_dict()
        resized = {"pos_embed", "patch_embed.proj.weight"}
        assert {key: theirs[key].shape for key in ours if key not in resized} == {
            key: value.shape for key, value in ours.items() if key not in resized
        }


@pytest.mark.usefixtures("nothing_read_yet")
def test_weights_that_are_not_there_end_in_one_line_that_says_how_to_fetch_them(monkeypatch):
    def fails(name, *, pretrained):
        raise RuntimeError("cannot reach the hub\nand more\nlines")

    monkeypatch.setattr(timm, "create_model", fails)
    with pytest.raises(
        UserError, match=r"weights of deit_tiny.* are not in the cache.*--forcerun fetch_weights"
    ) as raised:
        head(imagenet=True)
    assert "\n" not in str(raised.value)


def test_the_digest_is_of_the_tensors_not_of_their_file(tmp_path):
    state = deit(24)
    torch.save(state, tmp_path / "deit.pth")
    save_file(state, tmp_path / "deit.safetensors")
    torch.save(state | {"cls_token": state["cls_token"] + 1}, tmp_path / "other.pth")
    first, same, other = (
        ast.weights_digest(Options(size="tiny", checkpoint=str(tmp_path / name)))
        for name in ("deit.pth", "deit.safetensors", "other.pth")
    )
    assert first == same != other
    assert ast.weights_digest(Options(imagenet=False)) is None


def test_another_file_is_named(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pth")
    for path, message in (
        (tmp_path / "other.pth", "other.pth cannot be used.*no distilled DeiT"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(UserError, match=message):
            head(imagenet=True, checkpoint=str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "size: 'huge' is not allowed; allowed: tiny, small, base"),
        ({"frames": 400}, "frames: 400 is not allowed; allowed: 384, 768"),
        ({"adaptation": "concatenation"}, "adaptation: 'concatenation' is not allowed; allowed: sum, none"),
        ({"order": "random"}, "order: 'random' is not allowed; allowed: fine_to_coarse, coarse_to_fine"),
        ({"imagenet": False, "checkpoint": "deit.pth"}, "checkpoint needs imagenet: true"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UserError, match=f"options of ast: {message}"):
        registry.options(ast, options)
