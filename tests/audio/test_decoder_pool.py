import sys
import textwrap

import numpy as np
import pytest

from tests.audio.recordings import write_tone
from workflow_scripts.audio.decoder_pool import DecodeTask, decode_all
from workflow_scripts.core.errors import UserError


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a decoding program with the given loop body."""

    def write_program(body):
        path = tmp_path / "program.py"
        lines = ["import sys, json, time, os", "for line in sys.stdin:", "    path = json.loads(line)['path']"]
        path.write_text("\n".join(lines) + "\n" + textwrap.indent(textwrap.dedent(body), "    "))
        return [sys.executable, str(path)]

    return write_program


FAULTS_BY_NAME = """
if "crash" in path: os.kill(os.getpid(), 11)
if "hang" in path: time.sleep(60)
if "half" in path: print('{"samples": 9}'); print("x"); sys.stdout.flush(); os._exit(0)
if "slow" in path: time.sleep(0.3)
if "stop" in path: print('{"stop": "no ffmpeg"}', flush=True); continue
number = int(path.split(":")[1])
sys.stdout.write('{"samples": 1}\\n' + chr(number) + chr(0)); sys.stdout.flush()
"""


def tasks(*names):
    return [DecodeTask(path=f"{name}:{number}", sample_rate=16_000) for number, name in enumerate(names)]


def test_results_keep_the_order_of_the_tasks(program):
    results = list(
        decode_all(tasks("slow", *["ok"] * 20, "slow", *["ok"] * 20), processes=3, command=program(FAULTS_BY_NAME))
    )
    assert [int(result.samples[0]) for result in results] == list(range(42))


def test_a_crash_or_hang_costs_one_clip(program):
    names = ["ok", "crash", "ok", "hang", "half", "ok", "crash", "ok"]
    results = list(decode_all(tasks(*names), processes=2, timeout_seconds=1.5, command=program(FAULTS_BY_NAME)))
    expected = {"ok": None, "crash": "crashed", "hang": "timeout", "half": "crashed"}
    assert [result.reason for result in results] == [expected[name] for name in names]


def test_a_program_that_never_works_ends_the_run(program):
    with pytest.raises(UserError, match="dies at every clip"):
        list(decode_all(tasks(*["ok"] * 60), processes=1, command=program("os._exit(3)")))


def test_a_message_for_the_user_ends_the_run(program):
    with pytest.raises(UserError, match="no ffmpeg"):
        list(decode_all(tasks("ok", "stop", "ok"), processes=1, command=program(FAULTS_BY_NAME)))


def test_decoding_processes_import_neither_torch_nor_pandas(tmp_path, monkeypatch):
    for module in ("torch", "pandas", "librosa"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = write_tone(tmp_path / "a.wav")
    (result,) = decode_all([DecodeTask(path=str(path), sample_rate=16_000)], processes=1)
    assert result.samples is not None
    assert np.abs(result.samples).max() > 16_000


def test_no_tasks_give_no_results():
    assert list(decode_all([], processes=2)) == []
