"""Published formats load with the sizes their shapes tell; anything else ends in one line."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import re
import struct
import sys
import types
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from tests import golden
from workflow_scripts.checkpoints import import_networks
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import cpc, pase, pase_plus, samplecnn
from workflow_scripts.levels import registry
from workflow_scripts.networks.decoder import WaveformDecoder
from workflow_scripts.networks.regression_head import RegressionHead

TINY = {"embedding": 5, "width": 0.02}


def tiny(name: str = "pase_plus", **options) -> nn.Module:
    torch.manual_seed(0)
    level = registry.load("encoder", name)
    encoder = level.build(registry.options(level, TINY | options))
    with torch.no_grad():
        for block in encoder.blocks:
            block.norm.running_mean.normal_()
    return encoder


def save(content, path, **how):
    torch.save(content, path, **how)
    return path


def save_state(state, path):
    return save(state, path)


def old_zipless(state, path):
    return save(state, path, _use_new_zipfile_serialization=False)


def with_optimiser(state, path):
    optimiser = torch.optim.Adam([nn.Parameter(torch.ones(2))])
    return save({"step": 7, "state_dict": state, "optimizer": optimiser.state_dict()}, path)


def from_several_gpus(state, path):
    return save({f"module.{key}": value for key, value in state.items()}, path)


def as_safetensors(state, path):
    save_file(dict(state), path)
    return path


FORMATS = {
    save_state: "state dict",
    old_zipless: "state dict",
    with_optimiser: "dict with state_dict",
    from_several_gpus: "state dict",
    as_safetensors: "safetensors",
}


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize(("name", "options"), [("pase", {}), ("pase_plus", {"rnn_layers": 2})])
def test_every_format_gives_the_encoder_back_in_evaluation_mode(tmp_path, write, name, options):
    saved = tiny(name, **options).eval()
    published = import_networks.read_checkpoint(write(saved.state_dict(), tmp_path / "FE_e199.ckpt"))
    network, chosen = import_networks.import_encoder(published, name=name)
    assert published.format == FORMATS[write]
    assert not network.training
    assert chosen == registry.options(registry.load("encoder", name), TINY | options)
    torch.testing.assert_close(network.state_dict(), saved.state_dict(), rtol=0, atol=0)
    audio = torch.randn(2, 1600)
    torch.testing.assert_close(network(audio), saved(audio), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("pase", {"embedding": embedding}) for embedding in (100, 256, 512)),
        *(("pase_plus", {"embedding": embedding}) for embedding in (100, 256, 512)),
        ("pase_plus", {"embedding": 256, "rnn_layers": 3}),
        ("pase_plus", {"embedding": 7, "width": 0.333}),
        ("pase", {"embedding": 1, "width": 0.5}),
        ("pase", {"embedding": 3, "width": 0.001}),
    ],
)
def test_sizes_are_read_from_the_shapes(tmp_path, name, options):
    level = registry.load("encoder", name)
    with torch.device("meta"):
        wanted = level.build(registry.options(level, options)).state_dict()
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in wanted.items()}
    network, chosen = import_networks.import_encoder(
        import_networks.read_checkpoint(save_state(state, tmp_path / "file.ckpt")), name=name
    )
    assert {key: value.shape for key, value in network.state_dict().items()} == {k: v.shape for k, v in wanted.items()}
    if options.get("width") != 0.001:  # below 4 channels a block no width differs from another
        assert chosen == registry.options(level, options)


def official_state(case: golden.Case) -> dict[str, torch.Tensor]:
    return {
        entry["key"]: torch.as_tensor(
            case.arrays[f"param:{entry['key']}"]
            if entry["fill"] in golden.STORED_KINDS
            else golden.fill_values(entry["key"], entry["shape"], entry["fill"])
        )
        for entry in case.facts["params"]
    }


def test_an_official_encoder_gives_the_official_frames(tmp_path):
    case = golden.open_case("pase_emb100")
    published = import_networks.read_checkpoint(with_optimiser(official_state(case), tmp_path / "FE_e199.ckpt"))
    encoder, options = import_networks.import_encoder(published, name="pase")
    assert options == pase.Options(embedding=100)
    with torch.no_grad():
        assert case.error("y16000", encoder(case.input("x16000")[:, 0])) <= 1


def test_an_official_head_gives_the_official_values(tmp_path):
    case = golden.open_case("pase_head_mlp_r1")
    head = import_networks.import_regression_head(
        import_networks.read_checkpoint(save_state(official_state(case), tmp_path / "lps.ckpt")), outputs=1025
    )
    with torch.no_grad():
        assert case.error("y", head(case.input("embedding"))) <= 1


def test_an_official_decoder_gives_the_official_samples(tmp_path):
    case = golden.open_case("pase_decoder")
    decoder = import_networks.import_waveform_decoder(
        import_networks.read_checkpoint(save_state(official_state(case), tmp_path / "cchunk.ckpt"))
    )
    with torch.no_grad():
        assert case.error("y", decoder(case.input("embedding"))) <= 1


@pytest.mark.parametrize(("neighbours", "outputs"), [(1, 5), (7, 5), (1, None)])
@pytest.mark.parametrize(("hidden_layers", "context"), [(1, 1), (2, 3), (0, 3)])
def test_heads_of_any_size(tmp_path, neighbours, outputs, hidden_layers, context):
    saved = RegressionHead(
        inputs=6, outputs=5, hidden=4, hidden_layers=hidden_layers, context=context, neighbours=neighbours
    )
    published = import_networks.read_checkpoint(save_state(saved.state_dict(), tmp_path / "mfcc.ckpt"))
    network = import_networks.import_regression_head(published, outputs=outputs)
    frames = torch.randn(2, 6, 9)
    torch.testing.assert_close(network(frames), saved(frames), rtol=0, atol=0)


def test_a_head_must_predict_an_odd_number_of_frames(tmp_path):
    saved = RegressionHead(inputs=6, outputs=10, hidden=4)
    published = import_networks.read_checkpoint(save_state(saved.state_dict(), tmp_path / "mfcc.ckpt"))
    for outputs in (3, 5):
        with pytest.raises(UserError, match=f"predicts 10 values, which are no odd number of frames of {outputs}"):
            import_networks.import_regression_head(published, outputs=outputs)


@pytest.mark.parametrize("sizes", [{"inputs": 256}, {"inputs": 6, "maps": (5, 4, 3), "hidden": 2, "hidden_layers": 2}])
def test_decoders_of_any_size(tmp_path, sizes):
    saved = WaveformDecoder(**sizes)
    network = import_networks.import_waveform_decoder(
        import_networks.read_checkpoint(save_state(saved.state_dict(), tmp_path / "cchunk.ckpt"))
    )
    frames = torch.randn(1, sizes["inputs"], 3)
    torch.testing.assert_close(network(frames), saved(frames), rtol=0, atol=0)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def damaged_states(state):
    """Contents that are no encoder, by the message about them."""
    first = next(iter(state))
    yield (
        "lacks 1 of 78 tensors, first blocks.3.conv.bias",
        {k: v for k, v in state.items() if k != "blocks.3.conv.bias"},
    )
    yield "no fitting W.weight", {k: v for k, v in state.items() if not k.startswith("W.")}
    yield "no fitting blocks.0.norm.weight", {k: v for k, v in state.items() if not k.startswith("blocks.")}
    yield "lacks 2 of 78 tensors, first rnn", {k: v for k, v in state.items() if not k.startswith("rnn.")}
    yield "has 1 tensors too many, first rnn_2.weight", state | {"rnn_2.weight": torch.ones(1)}
    yield r"W.bias has shape \(6,\), not \(5,\)", state | {"W.bias": torch.ones(6)}
    yield "no fitting", state | {"W.weight": torch.tensor(1.0)}
    yield "no width of PASE gives", state | {"blocks.2.norm.weight": torch.ones(99)}
    yield f"{first} holds values that are not finite", state | {first: state[first] * float("nan")}
    yield f"{first} is no plain tensor of real numbers", state | {first: state[first].to(torch.complex64)}
    yield f"{first} is no plain tensor of real numbers", state | {first: state[first].to_sparse()}
    yield "entry 'epoch' is no tensor", state | {"epoch": 3}
    yield "entry 1 is no tensor", {1: torch.ones(1)}
    yield "holds no state dict", {}
    yield "holds no state dict", [1, 2]
    yield "holds no state dict", torch.ones(3)
    yield "holds no state dict", {"state_dict": None}


MESSAGES = [message for message, _ in damaged_states(tiny().state_dict())]


@pytest.mark.parametrize("number", range(len(MESSAGES)), ids=MESSAGES)
def test_contents_that_are_no_encoder_are_refused_in_one_line(tmp_path, number):
    message, content = list(damaged_states(tiny().state_dict()))[number]
    with pytest.raises(UserError, match=message) as refused:
        import_networks.import_encoder(
            import_networks.read_checkpoint(save(content, tmp_path / "file.ckpt")), name="pase_plus"
        )
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "file.ckpt"))


def test_files_that_are_no_checkpoint_are_refused_in_one_line(tmp_path):
    whole = save(tiny().state_dict(), tmp_path / "whole.ckpt").read_bytes()
    tensors = as_safetensors(tiny().state_dict(), tmp_path / "whole.safetensors").read_bytes()
    again = "no checkpoint of torch or safetensors, or damaged: fetch it again"
    cases = {
        "empty.ckpt": (b"", "it is empty"),
        "text.ckpt": (b"<html>404 not found</html>", again),
        "pickle.ckpt": (pickle.dumps({"a": 1}), again),
        "cut.ckpt": (whole[: len(whole) // 2], again),
        "start.ckpt": (whole[:20], again),
        "cut.safetensors": (tensors[: len(tensors) // 2], "its safetensors are damaged"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as refused:
            import_networks.read_checkpoint(path)
        assert str(refused.value).startswith(str(path))
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="there is no such file"):
        import_networks.read_checkpoint(tmp_path / "absent.ckpt")
    with pytest.raises(UserError, match="it is a folder: name a file in it"):
        import_networks.read_checkpoint(tmp_path)


def numbers_of(dtype):
    """Eight bytes as numbers of a type."""
    return torch.zeros(8, dtype=torch.uint8).view(dtype)


@pytest.mark.parametrize(
    "dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu, torch.uint16, torch.uint64]
)
@pytest.mark.parametrize("write", [save_state, as_safetensors])
def test_numbers_that_no_network_computes_with_are_refused(tmp_path, write, dtype):
    write({"a": numbers_of(dtype)}, tmp_path / "file.ckpt")
    with pytest.raises(UserError, match="a is no plain tensor of real numbers: save the network in float32"):
        import_networks.read_checkpoint(tmp_path / "file.ckpt")


@pytest.mark.parametrize("size", [10**9, 10**12])
@pytest.mark.parametrize("write", [save_state, old_zipless])
def test_a_tensor_of_more_numbers_than_are_stored_is_refused(tmp_path, write, size):
    write({"a": torch.zeros(1).expand(size)}, tmp_path / "file.ckpt")
    with pytest.raises(UserError, match="a states more numbers than it stores"):
        import_networks.read_checkpoint(tmp_path / "file.ckpt")
    write({"a": torch.zeros(size, device="meta")}, tmp_path / "file.ckpt")
    with pytest.raises(UserError, match="a is no plain tensor"):
        import_networks.read_checkpoint(tmp_path / "file.ckpt")


def rewrite_zip(path, *, compression=zipfile.ZIP_STORED, pickled=None):
    """Write torch's zip again: compressed, or with another pickle."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, pickled if pickled and name.endswith("data.pkl") else content)


def test_a_flipped_bit_in_a_zip_is_refused(tmp_path):
    path = save({"a": torch.arange(1000.0)}, tmp_path / "file.ckpt")
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<f", 500.0), struct.pack("<f", 500.5), 1))
    with pytest.raises(UserError, match="or damaged: fetch it again"):
        import_networks.read_checkpoint(path)


def test_a_zip_that_unpacks_to_more_than_it_is_or_reserves_memory_is_refused(tmp_path):
    path = save({"a": torch.zeros(1_000_000)}, tmp_path / "file.ckpt")
    rewrite_zip(path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="or damaged: fetch it again"):
        import_networks.read_checkpoint(path)
    path = save({"a": torch.zeros(1)}, path)
    rewrite_zip(path, pickled=b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
    with pytest.raises(UserError, match="or damaged: fetch it again"):
        import_networks.read_checkpoint(path)


@pytest.mark.parametrize("content", [Harmful(), {"state_dict": {}, "hook": Harmful()}, nn.Linear(1, 1)])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path, monkeypatch, content, zipped):
    monkeypatch.chdir(tmp_path)
    path = save(content, tmp_path / "file.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="holds pickled code, which is not run: save its state_dict alone"):
        import_networks.read_checkpoint(path)
    assert not (tmp_path / "harmed").exists()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(write=st.sampled_from(list(FORMATS)), cut=st.floats(0, 1), place=st.floats(0, 0.999), change=st.integers(0, 255))
def test_damaged_bytes_load_or_end_in_a_user_error(tmp_path, *, write, cut, place, change):
    path = write(tiny().state_dict(), tmp_path / "file.ckpt")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= change
    path.write_bytes(content[: round(cut * len(content))] if cut < 0.5 else content)
    with contextlib.suppress(UserError):
        encoder, _ = import_networks.import_encoder(import_networks.read_checkpoint(path), name="pase_plus")
        assert all(torch.isfinite(value).all() for value in encoder.state_dict().values())


CLMR_FORMATS = ["encoder.", "model.encoder.", "both copies", "bare", "early names", "projector and classifier"]


def clmr_file(state, form, path):
    """A file as the CLMR code wrote it at some time."""
    encoders = {f"encoder.{key}": value for key, value in state.items()}
    projector = {"projector.0.weight": torch.ones(4, 4), "projector.2.weight": torch.ones(3, 4)}
    contents = {
        "encoder.": encoders,
        "model.encoder.": {"state_dict": {f"model.{key}": value for key, value in encoders.items()}},
        "both copies": {
            "state_dict": {
                **encoders,
                **{f"model.{key}": value for key, value in (encoders | projector).items()},
            },
            "epoch": 3,
        },
        "bare": state,
        "early names": {
            re.sub(r"sequential\.(\d+)", lambda match: f"conv{int(match[1]) + 1}", key): value
            for key, value in encoders.items()
        },
        "projector and classifier": encoders | projector | {"encoder.fc.weight": torch.ones(50, 4)},
    }
    return save(contents[form], path)


@pytest.mark.parametrize("form", CLMR_FORMATS)
@pytest.mark.parametrize("rate", [22050, 16000, 12000, 8000])
def test_every_clmr_format_gives_samplecnn_back(tmp_path, form, rate):
    torch.manual_seed(0)
    wanted = samplecnn.Options(sample_rate=rate, width=0.05)
    saved = samplecnn.build(wanted)
    published = import_networks.read_checkpoint(clmr_file(saved.state_dict(), form, tmp_path / "clmr.pt"))
    network, options = import_networks.import_encoder(published, name="samplecnn")
    assert options == wanted
    torch.testing.assert_close(network.state_dict(), saved.state_dict(), rtol=0, atol=0)
    assert not network.training


def test_an_official_samplecnn_gives_the_official_features(tmp_path):
    case = golden.open_case("samplecnn_22050")
    state = {f"encoder.{key}": value for key, value in official_state(case).items()}
    encoder, options = import_networks.import_encoder(
        import_networks.read_checkpoint(save_state(state, tmp_path / "clmr.pt")), name="samplecnn"
    )
    assert options == samplecnn.Options()
    with torch.no_grad():
        assert case.error("features", encoder(case.input("x")[:, 0])[..., 0]) <= 1


def test_an_official_cpc_encoder_gives_the_official_context(tmp_path):
    case = golden.open_case("cpc_encoder_gru")
    encoder, options = import_networks.import_encoder(
        import_networks.read_checkpoint(save_state(official_state(case), tmp_path / "cpc.pt")), name="cpc"
    )
    assert options == cpc.Options()
    with torch.no_grad():
        assert case.error("c_time_mean", encoder.pool(encoder(case.input("x")[:, 0]))) <= 1


def test_lightnings_own_classes_are_read_as_nothing(tmp_path, monkeypatch):
    """Lightning pickles classes and objects of its own beside the weights."""
    module = types.ModuleType("pytorch_lightning.callbacks")
    module.Callback = type("Callback", (), {"__module__": module.__name__})
    stopping = module.Callback()
    stopping.best = 3
    saved = samplecnn.build(samplecnn.Options(width=0.05))
    state = {f"model.encoder.{key}": value for key, value in saved.state_dict().items()}
    others = {"callbacks": {module.Callback: {"best": 1}}, "hyper_parameters": argparse.Namespace(lr=1.0)}
    with monkeypatch.context() as lightning:
        lightning.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
        lightning.setitem(sys.modules, module.__name__, module)
        path = save({"state_dict": state, "stopping": stopping, **others}, tmp_path / "clmr.ckpt")
    network, _ = import_networks.import_encoder(import_networks.read_checkpoint(path), name="samplecnn")
    torch.testing.assert_close(network.state_dict(), saved.state_dict(), rtol=0, atol=0)
    harmful = save({"state_dict": state, "object": Harmful()}, tmp_path / "harmful.ckpt")
    with pytest.raises(UserError, match="holds pickled code, which is not run"):
        import_networks.read_checkpoint(harmful)


def clmr_mistakes(state):
    """Messages about files, each with the file."""
    encoders = {f"encoder.{key}": value for key, value in state.items()}
    other = {f"model.{key}": value + 1 for key, value in encoders.items()}
    yield "it holds two encoders that differ", encoders | other
    yield "it holds no SampleCNN", {"projector.0.weight": torch.ones(3, 3)}
    yield "lacks 1 of 77 tensors", {k: v for k, v in encoders.items() if k != "encoder.sequential.4.1.running_mean"}
    yield "no fitting sequential.10.0.weight", {k: v for k, v in encoders.items() if "sequential.10." not in k}
    yield "it has 1 tensors too many", encoders | {"encoder.sequential.11.0.weight": torch.ones(3)}
    yield "no width of SampleCNN gives", encoders | {"encoder.sequential.3.0.weight": torch.ones(99, 6, 3)}


@pytest.mark.parametrize("number", range(6))
def test_files_that_are_no_samplecnn_are_refused_in_one_line(tmp_path, number):
    saved = samplecnn.build(samplecnn.Options(width=0.05))
    message, content = list(clmr_mistakes(saved.state_dict()))[number]
    with pytest.raises(UserError, match=message) as refused:
        import_networks.import_encoder(
            import_networks.read_checkpoint(save_state(content, tmp_path / "clmr.pt")), name="samplecnn"
        )
    assert "\n" not in str(refused.value)


def test_samplecnns_of_other_rates_are_distinguished(tmp_path):
    state = samplecnn.build(samplecnn.Options(sample_rate=8000, width=0.05)).state_dict()
    published = import_networks.read_checkpoint(save_state(state, tmp_path / "clmr.pt"))
    with pytest.raises(UserError, match=r"it holds sample_rate 8000, width 0.05, .*, not sample_rate 22050,"):
        import_networks.import_encoder(published, name="samplecnn", options={"sample_rate": 22050, "width": 0.05})
    other = state | {"sequential.3.0.weight": torch.ones(6, 6, 7)}
    with pytest.raises(UserError, match=r"it is no SampleCNN for 22050, .* 8000 Hz: its kernels are 3, 3, 7, 2, "):
        import_networks.import_encoder(
            import_networks.read_checkpoint(save_state(other, tmp_path / "other.pt")), name="samplecnn"
        )


def test_pase_and_pase_plus_are_distinguished(tmp_path):
    plain = import_networks.read_checkpoint(save_state(tiny("pase").state_dict(), tmp_path / "pase.ckpt"))
    plus = import_networks.read_checkpoint(save_state(tiny("pase_plus").state_dict(), tmp_path / "plus.ckpt"))
    with pytest.raises(UserError, match=r"no dense skips, so it is no PASE.: import it as pase$"):
        import_networks.import_encoder(plain, name="pase_plus")
    with pytest.raises(UserError, match=r"it has dense skips, so it is a PASE.: import it as pase_plus$"):
        import_networks.import_encoder(plus, name="pase")
    with pytest.raises(UserError, match="encoder handcrafted has no published checkpoints"):
        import_networks.import_encoder(plain, name="handcrafted")
    for load in (import_networks.import_regression_head, import_networks.import_waveform_decoder):
        with pytest.raises(UserError, match=r"pase.ckpt cannot be imported as a (regression head|waveform decoder)"):
            load(plain)
    decoder = import_networks.read_checkpoint(
        save_state(WaveformDecoder(inputs=4).state_dict(), tmp_path / "cchunk.ckpt")
    )
    with pytest.raises(UserError, match=r"cchunk.ckpt cannot be imported as a regression head"):
        import_networks.import_regression_head(decoder)


def test_options_that_are_given_must_be_those_of_the_file(tmp_path):
    published = import_networks.read_checkpoint(save_state(tiny().state_dict(), tmp_path / "file.ckpt"))
    assert import_networks.import_encoder(published, name="pase_plus", options=TINY)[1] == pase_plus.Options(**TINY)
    message = "holds embedding 5, width 0.02, rnn_layers 1, not embedding 5, width 0.02, rnn_layers 2: leave"
    with pytest.raises(UserError, match=message):
        import_networks.import_encoder(published, name="pase_plus", options=TINY | {"rnn_layers": 2})
    with pytest.raises(UserError, match=r"unknown key 'layers' .*; allowed: embedding, rnn_layers, width"):
        import_networks.import_encoder(published, name="pase_plus", options={"layers": 2})
