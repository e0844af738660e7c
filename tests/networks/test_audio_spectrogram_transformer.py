"""The transformer gives the AST code's numbers, starts from a DeiT as that does, and reads a U-Net's maps."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from tests import golden
from workflow_scripts.checkpoints import import_networks
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.audio_spectrogram_transformer import SIZES, Ast, Patchify, load_deit


def to_published_names(case: golden.Case) -> dict[str, torch.Tensor]:
    """The case's weights as the AST code saves them, from several GPUs."""
    return {
        f"module.{e['key']}": torch.from_numpy(golden.fill_values(e["key"], e["shape"], e["fill"]))
        for e in case.facts["params"]
    }


@pytest.fixture
def case_and_network(tmp_path) -> tuple[golden.Case, Ast]:
    case = golden.open_case("ast_tiny")
    torch.save(to_published_names(case), tmp_path / "ast.pth")
    return case, import_networks.import_ast(import_networks.read_checkpoint(tmp_path / "ast.pth"))


def test_every_output_equals_the_official_code(case_and_network):
    case, network = case_and_network
    seen: dict[str, torch.Tensor] = {}
    for name, module in {"block0": network.v.blocks[0], "block5": network.v.blocks[5], "norm": network.v.norm}.items():
        module.register_forward_hook(lambda *given, name=name: seen.update({name: given[2]}))
    inputs = case.input("x")[:, None]
    with torch.no_grad():
        seen["logits"] = network(inputs)
        seen["patches"] = network.v.patches(inputs.transpose(2, 3))
    errors = {entry["name"]: case.error(entry["name"], seen[entry["name"]]) for entry in case.facts["outputs"]}
    assert len(errors) == 5
    assert max(errors.values()) <= 1, errors


def test_a_training_pass_equals_the_official_code(case_and_network):
    case, network = case_and_network

    class WithoutChannels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.v, self.mlp_head, self.whole = network.v, network.mlp_head, [network]

        def forward(self, spectrograms):
            return self.whole[0](spectrograms[:, None])

    case.check_training_pass(WithoutChannels(), case.input("x"))


@pytest.mark.parametrize(
    ("size", "outputs", "grid", "expected"),
    [
        ("base", 50, {"columns": 48, "stride": 8}, 87_129_346),
        ("base", 50, {"columns": 47, "stride": 8}, 87_123_202),
        ("small", 50, {"columns": 47, "stride": 8}, 22_328_962),
        ("tiny", 50, {"columns": 47, "stride": 8}, 5_857_090),
        ("base", 50, {"columns": 48, "stride": 16}, 87_129_346),
        ("base", 527, {"columns": 101, "stride": 10, "band_stride": 10}, 88_132_063),
    ],
)
def test_sizes_are_those_measured_with_the_official_code(size, outputs, grid, expected):
    with torch.device("meta"):
        network = Ast(SIZES[size], outputs=outputs, **grid)
    unused = 2 * 1000 * (SIZES[size].width + 1)
    assert sum(parameter.numel() for parameter in network.parameters()) + unused == expected


class AudiosetPatches(nn.Module):
    """Patches of spectrograms as the AST code takes them, in place of timm's own."""

    def __init__(self, width: int, stride: int):
        super().__init__()
        self.proj = nn.Conv2d(1, width, 16, stride=stride)

    def forward(self, spectrograms):
        return self.proj(spectrograms).flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    ("stride", "prefix"), [(10, "module."), (10, ""), (12, "module."), (14, "module."), (16, "module.")]
)
def test_the_authors_audioset_networks_give_their_logits(tmp_path, stride, prefix):
    """As the AST code does, the reference is built of timm's distilled vision transformer and a classifier."""
    torch.manual_seed(stride)
    patches = {10: 1212, 12: 850, 14: 657, 16: 512}[stride]
    transformer = timm.create_model("deit_tiny_distilled_patch16_224").eval()
    transformer.patch_embed = AudiosetPatches(192, stride)
    transformer.pos_embed = nn.Parameter(torch.zeros(1, patches + 2, 192))
    classifier = nn.Sequential(nn.LayerNorm(192), nn.Linear(192, 527))
    for parameter in (*transformer.parameters(), *classifier.parameters()):
        nn.init.normal_(parameter, std=0.1)
    state = {f"{prefix}v.{key}": value for key, value in transformer.state_dict().items()}
    state |= {f"{prefix}mlp_head.{key}": value for key, value in classifier.state_dict().items()}
    assert state[f"{prefix}v.pos_embed"].shape == (1, patches + 2, 192)
    assert f"{prefix}v.head_dist.weight" in state, "their files hold the unused heads for ImageNet"
    torch.save(state, tmp_path / "audioset.pth")
    network = import_networks.import_ast(import_networks.read_checkpoint(tmp_path / "audioset.pth"))
    spectrograms = torch.randn(1, 1024, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens = transformer.forward_features(spectrograms[:, None].transpose(2, 3))
        expected = classifier((tokens[:, 0] + tokens[:, 1]) / 2)
        torch.testing.assert_close(network(spectrograms[:, None]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module.v.norm.bias": None}, "lacks 1 of .*, first v.norm.bias"),
        ({"module.mlp_head.1.weight": None}, "no fitting mlp_head.1.weight"),
        ({"module.v.more": torch.ones(1)}, "1 tensors too many, first v.more"),
        (
            {"module.v.pos_embed": torch.zeros(1, 1215, 192)},
            "has 1213 patches, not 376, 384, 512, 657, 850, 1212: it was",
        ),
        ({"module.v.cls_token": torch.zeros(1, 1, 100)}, "tokens have 100 values"),
    ],
)
def test_wrong_files_end_in_one_clear_line(tmp_path, change, message):
    state = {
        key: value
        for key, value in (to_published_names(golden.open_case("ast_tiny")) | change).items()
        if value is not None
    }
    torch.save(state, tmp_path / "ast.pth")
    with pytest.raises(UserError, match=message) as raised:
        import_networks.import_ast(import_networks.read_checkpoint(tmp_path / "ast.pth"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("frames", "stride"), [(384, 8), (392, 8), (768, 16)])
def test_a_window_is_a_grid_of_8_by_48_patches_padded_alike_on_both_sides(frames, stride):
    network = Ast(SIZES["tiny"], outputs=2, stride=stride)
    network.eval()
    spectrograms = torch.randn(1, 1, frames, 128, generator=torch.Generator().manual_seed(0))
    output = network(spectrograms)
    assert output.shape == (1, 2)
    missing = {384: 4, 392: 0, 768: 0}[frames]
    padded = torch.nn.functional.pad(spectrograms, (0, 0, missing, missing))
    torch.testing.assert_close(network(padded), output, rtol=0, atol=0)
    assert network.v.pos_embed.shape[1] == 2 + 8 * 48


def deit(side: int, *, width: int = 192) -> dict[str, torch.Tensor]:
    """A state dict as timm's distilled DeiT has it, for a square grid of patches."""
    torch.manual_seed(3)
    state = Ast(SIZES["tiny"], outputs=2, stride=8).v.state_dict()
    grid = torch.arange(side * side, dtype=torch.float32)[None, :, None].expand(1, -1, width)
    special = torch.full((1, 2, width), -1.0)
    return {
        **{key: torch.randn_like(value) for key, value in state.items()},
        "pos_embed": torch.cat([special, grid], dim=1),
        "patch_embed.proj.weight": torch.randn(width, 3, 16, 16),
        **{f"{head}.weight": torch.zeros(1000, width) for head in ("head", "head_dist")},
    }


def test_it_starts_from_a_deit_with_summed_colours_and_a_fitted_grid():
    state, side = deit(24), 24
    network = Ast(SIZES["tiny"], outputs=2, channels=2, stride=8)
    head = network.mlp_head[1].weight.clone()
    load_deit(network, state)
    kernel = network.v.patch_embed["proj"].weight
    for channel in (0, 1):
        torch.testing.assert_close(kernel[:, channel], state["patch_embed.proj.weight"].sum(1))
    assert torch.equal(network.v.blocks[7].attn.qkv.weight, state["blocks.7.attn.qkv.weight"])
    positions = network.v.pos_embed[0, :, 0]
    assert positions[:2].tolist() == [-1, -1]
    grid = positions[2:].reshape(8, 48)
    rows = torch.arange(8, 16) * side  # the middle of 24, each row as many positions wide
    along = ((torch.arange(48) + 0.5) / 2 - 0.5).clamp(0, side - 1)  # twice as dense
    torch.testing.assert_close(grid, rows[:, None] + along[None])
    assert torch.equal(network.mlp_head[1].weight, head)


def test_a_smaller_grid_is_cut_along_frequency_and_stretched_along_time():
    network = Ast(SIZES["tiny"], outputs=2, stride=8)
    load_deit(network, deit(14))
    grid = network.v.pos_embed[0, 2:, 0].reshape(8, 48)
    assert grid[0, 0].item() == 3 * 14
    assert grid[-1, -1].item() == 10 * 14 + 13


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {"a": torch.ones(1)}, "no distilled DeiT"),
        (lambda state: {key: value for key, value in state.items() if key != "dist_token"}, "no distilled DeiT"),
        (lambda state: {key: value for key, value in state.items() if "blocks.3.mlp" not in key}, "lacks 4 of"),
        (lambda state: state | {"blocks.3.mlp.fc1.bias": torch.ones(9)}, "blocks.3.mlp.fc1.bias has shape"),
        (lambda state: state | {"pos_embed": torch.zeros(1, 578, 384)}, "tokens have 384 values, not 192"),
        (lambda state: state | {"patch_embed.proj.weight": torch.zeros(192, 3, 8, 8)}, "another size"),
        (lambda state: state | {"pos_embed": torch.zeros(1, 501, 192)}, "499 positions make no square"),
    ],
)
def test_other_files_end_in_one_clear_line_and_change_nothing(change, message):
    network = Ast(SIZES["tiny"], outputs=2, stride=8)
    before = network.v.cls_token.clone()
    with pytest.raises(UserError, match=message) as raised:
        load_deit(network, change(deit(24)))
    assert "\n" not in str(raised.value)
    assert torch.equal(network.v.cls_token, before)


@pytest.mark.parametrize(("frames", "bins"), [(12, 8), (24, 16), (48, 32), (96, 64), (192, 128), (384, 128)])
def test_a_map_becomes_one_token_per_patch_of_its_own_place(frames, bins):
    patchify, maps = Patchify(3, 5, frames=frames, bins=bins), torch.zeros(1, 3, frames, bins)
    assert patchify(maps).shape == (1, 384, 5)
    column, row = 20, 5
    frame, low = column * frames // 48, row * bins // 8
    maps[:, :, frame, low] = 1.0
    changed = (patchify(maps) != patchify(torch.zeros_like(maps)))[0].any(dim=-1).reshape(8, 48).nonzero()
    assert set(changed[:, 0].tolist()) == {row}
    held = max(1, 48 // frames)
    assert changed[:, 1].tolist() == list(range(column // held * held, column // held * held + held))


def test_what_is_added_reaches_the_patches_from_its_block_on_but_not_the_special_tokens():
    network = Ast(SIZES["tiny"], outputs=2, stride=8).eval()
    inputs: list[torch.Tensor] = []
    for block in network.v.blocks:
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    spectrogram = torch.randn(1, 1, 384, 128)
    with torch.no_grad():
        network(spectrogram)
        plain = list(inputs)
        inputs.clear()
        network(spectrogram, {4: torch.ones(1, 384, 192)})
    differing = [number for number in range(12) if not torch.equal(inputs[number], plain[number])]
    assert differing == list(range(4, 12))
    assert torch.equal(inputs[4][:, :2], plain[4][:, :2])
    torch.testing.assert_close(inputs[4][:, 2:], plain[4][:, 2:] + 1)
