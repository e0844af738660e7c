import os
import signal
import subprocess
import sys
import textwrap
import time

import imageio_ffmpeg
import numpy as np
import pytest

from tests.audio.recordings import encode, write_tone
from tests.checkout import REPOSITORY
from tests.datasets.files import put
from workflow_scripts.audio.decoder_pool import DecodeTask, decode_all
from workflow_scripts.core.errors import TemporaryError, UserError


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
folder, name = os.path.split(path)
once = not os.path.exists(path) and "once" in path
if once: open(path, "w").close()
if "crash" in path or once and "fault" in path: os.kill(os.getpid(), 11)
if "killed" in path or once and "stray" in path: os.kill(os.getpid(), 9)
if once and "term" in path: os.kill(os.getpid(), 15)
if once and "pause" in path: os.kill(os.getpid(), 19)
if "hang" in path: time.sleep(60)
if "half" in path or once and "cut" in path: print('{"samples": 9}'); print("x"); sys.stdout.flush(); os._exit(0)
if "slow" in path: time.sleep(0.3)
if "doze" in path: time.sleep(0.8)
if "stop" in path: print('{"stop": "no ffmpeg"}', flush=True); continue
number = int(path.split(":")[1])
sys.stdout.write('{"samples": 1, "factor": 1.0, "defects": []}\\n' + chr(number) + chr(0)); sys.stdout.flush()
"""


def tasks(*names, folder=""):
    return [DecodeTask(path=f"{folder}{name}:{number}", sample_rate=16_000) for number, name in enumerate(names)]


def test_results_keep_the_order_of_the_tasks(program):
    results = list(
        decode_all(tasks("slow", *["ok"] * 20, "slow", *["ok"] * 20), processes=3, command=program(FAULTS_BY_NAME))
    )
    assert [int(result.samples[0]) for result in results] == list(range(42))


def test_a_crash_or_hang_costs_one_clip(program):
    names = ["ok", "crash", "ok", "hang", "half", "ok", "crash", "ok"]
    results = list(decode_all(tasks(*names), processes=2, timeout_seconds=1.0, command=program(FAULTS_BY_NAME)))
    expected = {"ok": None, "crash": "crashed", "hang": "timeout", "half": "crashed"}
    assert [result.reason for result in results] == [expected[name] for name in names]


def test_a_clip_whose_process_dies_or_stops_once_is_decoded_in_a_fresh_one(program, tmp_path):
    names = ["ok", "once_stray", "once_term", "once_pause", "once_fault", "once_cut", "ok"] * 2
    listed = tasks(*names, folder=f"{tmp_path}/")
    results = list(decode_all(listed, processes=2, timeout_seconds=1.0, command=program(FAULTS_BY_NAME)))
    assert [int(result.samples[0]) for result in results] == list(range(14))


def test_a_clip_whose_process_is_killed_every_time_fails_the_job_and_is_not_the_fault_of_its_file(program):
    with pytest.raises(TemporaryError, match=r"killed:1 was killed 5 times \(SIGKILL\)"):
        list(decode_all(tasks("ok", "killed", "ok"), processes=2, command=program(FAULTS_BY_NAME)))


def test_a_stop_of_the_whole_job_is_no_time_out(program):
    script = (
        "import sys; from tests.audio.test_decoder_pool import tasks; from workflow_scripts.audio import decoder_pool\n"
        "decoder_pool.ATTEMPTS['timeout'] = 1\n"
        "results = decoder_pool.decode_all(tasks('doze'), processes=1, timeout_seconds=1.9, command=sys.argv[1:])\n"
        "print('begun', flush=True); print([result.reason for result in results])\n"
    )
    command = [sys.executable, "-c", script, *program(FAULTS_BY_NAME)]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True)
    assert job.stdout.readline() == "begun\n"
    time.sleep(0.3)
    os.killpg(job.pid, signal.SIGSTOP)
    time.sleep(2.2)
    os.killpg(job.pid, signal.SIGCONT)
    assert job.communicate()[0] == "[None]\n"


def test_a_clip_whose_ffmpeg_is_killed_is_decoded_again(tmp_path, monkeypatch):
    path = encode(write_tone(tmp_path / "a.wav"), tmp_path / "a.m4a")
    program = put(tmp_path / "bin", {"ffmpeg": (
        f"#!/bin/sh\n[ -e {tmp_path}/begun ] || {{ touch {tmp_path}/begun; "
        f"{imageio_ffmpeg.get_ffmpeg_exe()} \"$@\" | head -c 9000; kill -9 $$; }}\n"
        f"exec {imageio_ffmpeg.get_ffmpeg_exe()} \"$@\"\n"
    )}) / "ffmpeg"  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    for number in range(2):
        (result,) = decode_all([DecodeTask(path=str(path), sample_rate=16_000)], processes=1)
        assert len(result.samples) == pytest.approx(16_000, abs=1200), number
    assert (tmp_path / "begun").exists()


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
