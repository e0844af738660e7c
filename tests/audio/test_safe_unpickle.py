"""Safe reading of arrays and pickles: plain data is read, no code runs, and stated sizes cost no memory."""

from __future__ import annotations

import collections
import io
import os
import pickle
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.checkout import REPOSITORY
from tests.hostile_arrays import HOSTILE_ARRAYS
from workflow_scripts.audio.safe_unpickle import read_npz, read_pickle
from workflow_scripts.core.errors import UserError

PLAIN = {
    "TRAAAAW128F429D538": np.arange(50, dtype=np.float32),
    "names": np.array(["a", "bü", None], dtype=object),
    "fixed": np.array([["ab", "c"], ["d", "e"]]),
    "column order": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    "scalar": np.float64(0.5),
    "list": [1, 2.5, b"x\xff", None, True, ("t", {"k": [1]}), {"s"}, frozenset({2})],
    "ordered": collections.OrderedDict(a=1),
}


def write_pickle(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(5))  # in the fifth numpy names functions; the data sets are older
def test_plain_data_of_every_protocol_is_read(tmp_path, protocol):
    read = read_pickle(write_pickle(tmp_path / "a.pkl", PLAIN, protocol))
    assert list(read) == list(PLAIN)
    for name, value in PLAIN.items():
        if isinstance(value, np.ndarray):
            assert read[name].dtype == value.dtype
            np.testing.assert_array_equal(read[name], value)
        else:
            assert read[name] == value
            assert type(read[name]) in (type(value), dict)


def test_a_list_that_contains_itself_is_read(tmp_path):
    loop: list[object] = [1]
    loop.append(loop)
    read = read_pickle(write_pickle(tmp_path / "a.pkl", loop))
    assert read[1] is read


def test_pickles_of_python_2_are_read(tmp_path):
    (tmp_path / "a.cP").write_bytes(b"(dp0\nS'TRAAAAW'\np1\nS'caf\\xe9'\np2\ns.")
    assert read_pickle(tmp_path / "a.cP") == {"TRAAAAW": "café"}
    old = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\n"
    old += b"dtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftb."
    (tmp_path / "a.cP").write_bytes(old)
    assert read_pickle(tmp_path / "a.cP").tolist() == [1, 255]


class Hostile:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "hostile",
    [
        Hostile(os.system, "touch ran"),
        Hostile(eval, "open('ran', 'w')"),
        Hostile(print, "x"),
        Hostile(getattr, {}, "clear"),
        Hostile(np.load, "x"),
        Hostile(Path, "ran"),
        [{"deep": (Hostile(exec, "open('ran', 'w')"),)}],
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_reported_and_not_run(tmp_path, monkeypatch, hostile, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="which is no plain data") as caught:
        read_pickle(write_pickle(tmp_path / "a.pkl", hostile, protocol))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def pickle_objects_as_bytes(shape: tuple[int, ...], data: bytes) -> bytes:
    """Pickle an array of objects whose content is bytes, which numpy would take for addresses."""
    buffer = io.BytesIO()
    writer = pickle._Pickler(buffer, protocol=2)
    writer.dump(np.zeros(1))
    honest = buffer.getvalue()
    return honest.replace(b"f8", b"O8").replace(b"\x00" * 8, data)


def test_bytes_are_never_taken_for_addresses(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle_objects_as_bytes((1,), b"\x41" * 8))
    with pytest.raises(UserError, match=r"damaged|no plain data|no pickle"):
        read_pickle(tmp_path / "a.pkl")


MEASURING_PROGRAM = """
import re, sys
from pathlib import Path
from workflow_scripts.audio.safe_unpickle import read_pickle
from workflow_scripts.core.errors import UserError

def peak():  # of this program alone; the peak of getrusage begins with that of the process it was forked from
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
try:
    read_pickle(Path(sys.argv[1]))
except UserError:
    pass
print(peak() - before)
"""


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\x03.",  # a memo of 2^26 places, a gigabyte in the unpickler write_pickle in C
        b"\x80\x04\x8e\xff\xff\xff\xff\x0f\x00\x00\x00x.",  # 64 GB of bytes announced
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x10\x85U\x01b\x87Rb.",
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",  # nested deeper than any stack
    ],
)
def test_stated_sizes_cost_no_memory(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    result = subprocess.run(
        [sys.executable, "-c", MEASURING_PROGRAM, str(tmp_path / "a.pkl")],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) < 100_000  # KiB


def repeat(times: int, *, of: bytes, start: bytes = b"") -> bytes:
    return b"\x80\x04" + start + of * times + b"."


LIST = b"](" + b"K\x01" * 20_000 + b"eq\x00"  # a list of 20,000 numbers, to be referred to as 0
TEXT = b"X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x00"
NEST = b"\x80\x04K\x01" + b"2\x86" * 60  # pairs of pairs of pairs ...: 2 to the 60th numbers
BOMBS = {
    "bytes reserved": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
    "lists copied": repeat(1_000, of=b"cbuiltins\nlist\nh\x00\x85R", start=LIST),
    "sets copied": repeat(1_000, of=b"cbuiltins\nset\nh\x00\x85R", start=LIST),
    "texts encoded": repeat(1_000, of=b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R", start=TEXT),
    "key of nested tuples": NEST + b"q\x000}h\x00K\x01s.",
    "tuples in a set": NEST + b"\x85q\x000cbuiltins\nset\nh\x00\x85R.",
    "tuples in a frozenset": NEST + b"q\x000(h\x00\x91.",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_pickle_takes_neither_much_memory_nor_time(tmp_path, kind):
    (tmp_path / "a.pkl").write_bytes(BOMBS[kind])
    tracemalloc.start()
    with pytest.raises(UserError, match="damaged or no pickle of plain data"):
        read_pickle(tmp_path / "a.pkl")
    assert tracemalloc.get_traced_memory()[1] < 200_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("content", HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_an_array_that_is_not_what_its_header_states_is_refused(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", content)
    if content == HOSTILE_ARRAYS["objects"]:
        assert read_npz(tmp_path / "a.npz", ("values",))["values"].tolist() == [{"a": 1}, None]
        return
    with pytest.raises(UserError, match="damaged"):
        read_npz(tmp_path / "a.npz", ("values",))


def write_npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_an_npz_with_objects_and_numbers_is_read(tmp_path):
    path = write_npz(tmp_path / "a.npz", keys=np.array(["a", "b"], object), values=np.asfortranarray(np.eye(3)[:2]))
    read = read_npz(path, ("keys", "values"))
    assert read["keys"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(read["values"], np.eye(3)[:2])


@pytest.mark.parametrize("name", ["none", "keys"])
def test_an_npz_without_an_array_or_with_code_is_refused(tmp_path, name):
    path = write_npz(tmp_path / "a.npz", keys=np.array([Hostile(print, "x")], object))
    with pytest.raises(UserError, match=r"lacks none|builtins\.print"):
        read_npz(path, (name,))


def test_a_decompression_bomb_in_an_npz_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("workflow_scripts.audio.safe_unpickle.MAX_BYTES", 1 << 20)
    path = write_npz(tmp_path / "a.npz", zeros=np.zeros(1 << 18))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(UserError, match="states more than any label table"):
        read_npz(path, ("zeros",))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_plain_data_or_a_message_of_one_line(tmp_path, data):
    as_npz = data.draw(st.booleans())
    path = tmp_path / "a"
    if as_npz:
        buffer = io.BytesIO()
        np.savez(buffer, keys=np.array(["a", "b"], object), values=np.arange(4.0))
        path.write_bytes(buffer.getvalue())
    else:
        write_pickle(path, PLAIN, data.draw(st.sampled_from([0, 2, 4])))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    message = ""
    try:
        read_npz(path, ("keys", "values")) if as_npz else read_pickle(path)
    except UserError as error:
        message = str(error)
    assert "\n" not in message


def test_a_zip_and_a_pickle_are_not_mistaken_for_each_other(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("values.npy", b"<html>")
    with pytest.raises(UserError, match="damaged"):
        read_pickle(tmp_path / "a.zip")
    with pytest.raises(UserError, match="damaged"):
        read_npz(tmp_path / "a.zip", ("values",))
    with pytest.raises(UserError, match="damaged"):
        read_npz(write_pickle(tmp_path / "a.pkl", [1]), ("values",))
