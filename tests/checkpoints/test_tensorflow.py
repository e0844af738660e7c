"""TensorFlow's checkpoints are read as they were written, and whatever damages them ends in one clear line."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import golden
from tests.checkpoints import tensorflow_files
from workflow_scripts.checkpoints import import_networks, tensorflow
from workflow_scripts.checkpoints.crc32c import crc32c
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import unet
from workflow_scripts.networks import msspt

TENSORS = {
    "layer_with_weights-0/gamma/.ATTRIBUTES/VARIABLE_VALUE": np.arange(6, dtype=np.float32).reshape(2, 3),
    "layer_with_weights-0/beta/.ATTRIBUTES/VARIABLE_VALUE": np.array([0.5], np.float64),
    "save_counter/.ATTRIBUTES/VARIABLE_VALUE": np.array(20, np.int64),
    "optimizer/iter": np.array([3, 4], np.int32),
    "empty": np.zeros((0, 2), np.float32),
}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text("ab/_-0", min_size=1, max_size=9), unique=True, min_size=1, max_size=60),
    per_block=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_tensors_come_back_as_they_were_written(tmp_path, names, per_block, seed):
    generator = np.random.default_rng(seed)
    tensors = {name: generator.standard_normal(generator.integers(1, 4, generator.integers(0, 4))) for name in names}
    index = tensorflow_files.write(tmp_path / "net", tensors, per_block=per_block)
    contents = tensorflow.read_checkpoint(index)
    assert set(contents) == set(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(contents[name].numpy(), values)


def test_every_type_of_number_is_read_and_texts_are_left_out(tmp_path):
    index = tensorflow_files.write(tmp_path / "net", TENSORS, texts=("_CHECKPOINTABLE_OBJECT_GRAPH",))
    contents = tensorflow.read_checkpoint(index)
    assert set(contents) == set(TENSORS)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(contents[name].numpy(), values)
        assert contents[name].numpy().dtype == values.dtype


def test_checksums_are_those_of_castagnoli():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA
    data = np.random.default_rng(0).integers(256, size=100_003).astype(np.uint8)
    assert crc32c(data) == crc32c_of_bytes(data)


def crc32c_of_bytes(data):
    value = 0xFFFFFFFF
    for byte in data.tolist():
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("file", ["net.index", "net.data-00000-of-00001"])
def test_no_flipped_bit_is_read_as_another_number(tmp_path, file):
    index = tensorflow_files.write(tmp_path / "net", TENSORS)
    whole = {name: value.numpy().tobytes() for name, value in tensorflow.read_checkpoint(index).items()}
    path = tmp_path / file
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):
            read = tensorflow.read_checkpoint(index)
            assert {name: value.numpy().tobytes() for name, value in read.items()} == whole


@pytest.mark.parametrize("named", ["net", "net.index", "net.data-00000-of-00001"])
def test_a_checkpoint_may_be_named_by_any_of_its_files(tmp_path, named):
    tensorflow_files.write(tmp_path / "net", TENSORS)
    published = import_networks.read_checkpoint(tmp_path / named)
    assert published.format == "TensorFlow checkpoint"
    assert set(published.state) == set(TENSORS)


def test_the_published_weights_import_from_such_a_file(tmp_path):
    case = golden.open_case("msspt_unet")
    filled = {
        entry["checkpoint_key"]: golden.fill_values(entry["key"], entry["shape"], entry["fill"])
        for entry in case.facts["params"]
    }
    attribute = "/.ATTRIBUTES/VARIABLE_VALUE"
    moments = {f"{key}/.OPTIMIZER_SLOT/optimizer/m{attribute}": values for key, values in list(filled.items())[:3]}
    stored = {f"{key}{attribute}": values for key, values in filled.items()} | moments
    tensorflow_files.write(tmp_path / "cp", stored, texts=("_CHECKPOINTABLE_OBJECT_GRAPH",))
    encoder, options = import_networks.import_encoder(import_networks.read_checkpoint(tmp_path / "cp"), name="unet")
    assert options == unet.Options()
    expected = msspt.select_unet_weights({key: torch.from_numpy(values) for key, values in filled.items()})
    torch.testing.assert_close(dict(encoder.state_dict()), expected, rtol=0, atol=0)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_anywhere_in_the_index_ends_in_one_line_or_does_no_harm(tmp_path, place, byte, cut):
    index = tensorflow_files.write(tmp_path / "net", TENSORS)
    content = bytearray(index.read_bytes())
    position = int(place * len(content))
    if cut:
        del content[position:]
    else:
        content[position] = byte
    index.write_bytes(bytes(content))
    with contextlib.suppress(UserError):
        tensorflow.read_checkpoint(index)
        assert not cut


@pytest.mark.parametrize("left", [None, 0, 10])
def test_data_that_are_missing_or_cut_are_named(tmp_path, left):
    index = tensorflow_files.write(tmp_path / "net", TENSORS)
    data = tmp_path / "net.data-00000-of-00001"
    if left is None:
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[:left])
    with pytest.raises(UserError, match=r"net\.data-00000-of-00001 is missing or empty|is not there in full") as raised:
        import_networks.read_checkpoint(index)
    assert "\n" not in str(raised.value)


def test_tensors_that_share_their_bytes_are_refused(tmp_path):
    """A thousand entries for the same megabyte would take a gigabyte."""
    index = tensorflow_files.write(tmp_path / "net", {str(number): np.zeros(1000, np.float32) for number in range(9)})
    data = tmp_path / "net.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:4000])
    entries = {b"": b"\x08\x01"} | {
        str(number).encode(): b"\x08\x01\x12\x05\x12\x03\x08\xe8\x07\x28\xa0\x1f" for number in range(9)
    }
    index.write_bytes(tensorflow_files.table(sorted(entries.items()), per_block=40))
    with pytest.raises(UserError, match="its data is not there in full"):
        tensorflow.read_checkpoint(index)


def test_keys_that_grow_beyond_the_index_are_refused(tmp_path):
    index = tensorflow_files.write(tmp_path / "net", {"a": np.zeros(1, np.float32)})
    keys = sorted(b"a" * length for length in range(1, 1000))
    index.write_bytes(tensorflow_files.table([(b"", b"\x08\x01"), *((key, b"") for key in keys)], 1000, restart=1000))
    with pytest.raises(UserError, match="its index is damaged"):
        tensorflow.read_checkpoint(index)


def test_a_number_without_end_is_damage(tmp_path):
    index = tensorflow_files.write(tmp_path / "net", {"a": np.zeros(1, np.float32)})
    index.write_bytes(tensorflow_files.table([(b"", b"\x08" + b"\xff" * 100_000 + b"\x01")], 40))
    with pytest.raises(UserError, match="its index is damaged"):
        tensorflow.read_checkpoint(index)
