"""The pretrain command: its results, and that interruptions do not change the weights."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import processes
from tests.corpora import write_corpus
from tests.pretraining_runs import all_workers, arguments, config, write_features
from tests.records import seal
from workflow_scripts import pretrain
from workflow_scripts.checkpoints.encoder_file import load_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase
from workflow_scripts.pretraining import distributed, trainer
from workflow_scripts.pretraining.data_loader import BatchLoader
from workflow_scripts.pretraining.interruption import EXIT_INTERRUPTED
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.pretraining.trainer import Trainer
from workflow_scripts.pretraining.training_state import StateFile


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=20, seconds=0.5, task="unlabelled")


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Path:
    """Output of an uninterrupted run."""
    output = tmp_path_factory.mktemp("finished") / "seed5"
    pretrain.main(arguments(config(), corpus=corpus, output=output))
    return output


def state_files(output: Path) -> list[Path]:
    return list(output.parent.glob(f".{output.name}-*.state"))


def assert_same_result(output: Path, expected: Path) -> None:
    for name in ("encoder.safetensors", "losses.csv"):
        assert (output / name).read_bytes() == (expected / name).read_bytes(), name


def test_a_run_writes_encoder_losses_and_record(finished, corpus):
    assert sorted(path.name for path in finished.iterdir()) == ["encoder.safetensors", "losses.csv", "record.json"]
    assert not state_files(finished)
    losses = pd.read_csv(finished / "losses.csv")
    assert list(losses.columns) == ["epoch", "split", "worker", "loss", "weight"]
    expected = [(e, s, w) for e in (1, 2, 3) for s in ("train", "valid") for w in ("lps", "mfcc")]
    assert list(losses[["epoch", "split", "worker"]].itertuples(index=False, name=None)) == expected
    record = json.loads((finished / "record.json").read_text())
    assert record["config"] == config()
    assert record["code"] == "c0de"
    assert record["data"] == {"tones": corpus.facts.digest}
    assert record["steps"] == 12
    assert record["resumed"] == 0
    assert record["parameters"]["encoder"] == sum(
        parameter.numel() for parameter in pase.build(pase.Options(embedding=8, width=0.05)).parameters()
    )


def test_the_encoder_loads_strictly_and_is_trained(finished):
    choice = config()["encoder"]
    encoder = load_encoder(finished / "encoder.safetensors", **choice)
    torch.manual_seed(5)
    untrained = pase.build(pase.Options(**choice["options"]))
    assert not encoder.training
    assert not torch.equal(encoder.W.weight, untrained.W.weight)
    assert encoder.blocks[0].norm.num_batches_tracked == 12


@pytest.mark.parametrize(
    ("name", "options"), [("pase", {"embedding": 9, "width": 0.05}), ("pase", {}), ("pase_plus", {"embedding": 8})]
)
def test_loading_another_encoder_is_refused(finished, name, options):
    with pytest.raises(UserError, match=r"holds encoder pase .*pre-train again"):
        load_encoder(finished / "encoder.safetensors", name=name, options=options)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "no JSON", "a list"])
def test_a_damaged_encoder_file_is_refused(finished, tmp_path, damage):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "encoder.safetensors"
    content = path.read_bytes()
    path.unlink()
    if damage in ("no JSON", "a list"):
        save_file({"a": torch.ones(1)}, path, metadata={"prelude": "[" * 9999 if damage == "no JSON" else "[1]"})
        seal(path)
    elif damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(UserError, match=rf"{path} is .*: (delete {path.parent} and run|pre-train) again"):
        load_encoder(path, **config()["encoder"])


def test_a_repeated_run_gives_the_same_bytes(finished, corpus, tmp_path):
    pretrain.main(arguments(config(), corpus=corpus, output=tmp_path / "seed5"))
    assert_same_result(tmp_path / "seed5", finished)


def test_another_seed_gives_different_weights(finished, corpus, tmp_path):
    pretrain.main(arguments(config() | {"seed": 6}, corpus=corpus, output=tmp_path / "seed6"))
    assert (tmp_path / "seed6" / "encoder.safetensors").read_bytes() != (finished / "encoder.safetensors").read_bytes()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("save_state_seconds", [0, 1000])
def test_a_run_that_is_killed_repeatedly_ends_with_the_same_bytes(
    finished, corpus, tmp_path, monkeypatch, save_state_seconds
):
    """With 1000 seconds, states are saved at the end of each epoch only, so steps are repeated."""
    train_step, kills, steps = Trainer._train_step, 0, 0

    def killed(*arguments):
        nonlocal steps
        steps += 1
        if steps % (4 if save_state_seconds == 0 else 7) == 0:
            raise KilledError
        train_step(*arguments)

    monkeypatch.setattr(Trainer, "_train_step", killed)
    changed = config(save_state_seconds=save_state_seconds)
    while not (tmp_path / "seed5" / "record.json").exists():
        try:
            pretrain.main(arguments(changed, corpus=corpus, output=tmp_path / "seed5"))
        except KilledError:
            kills += 1
            torch.rand(kills)  # the state of torch's generator must not matter
    assert kills >= 2
    assert_same_result(tmp_path / "seed5", finished)
    assert not state_files(tmp_path / "seed5")


def test_a_signal_saves_the_state_and_ends_with_its_own_exit_code(finished, corpus, tmp_path, monkeypatch, capsys):
    train_step, steps_taken = Trainer._train_step, 0

    def signalled(*arguments):
        nonlocal steps_taken
        steps_taken += 1
        if steps_taken in (2, 4):
            # to this thread: another, of an earlier test, would record it a step later
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1 if steps_taken == 2 else signal.SIGTERM)
        train_step(*arguments)

    monkeypatch.setattr(Trainer, "_train_step", signalled)
    command_line = arguments(config(save_state_seconds=1000), corpus=corpus, output=tmp_path / "seed5")
    for steps, name in ((2, "SIGUSR1"), (4, "SIGTERM")):
        with pytest.raises(SystemExit) as ended:
            pretrain.main(command_line)
        assert ended.value.code == EXIT_INTERRUPTED
        assert f"stopped by {name} after step {steps} of 12" in capsys.readouterr().err
        assert len(state_files(tmp_path / "seed5")) == 1
    pretrain.main(command_line)
    assert_same_result(tmp_path / "seed5", finished)
    assert json.loads((tmp_path / "seed5" / "record.json").read_text())["resumed"] == 2


def test_states_of_other_configs_are_ignored(finished, corpus, tmp_path, monkeypatch):
    validate = Trainer._validate

    def killed(trainer, epoch):
        if epoch == 2:
            raise KilledError
        validate(trainer, epoch)

    monkeypatch.setattr(Trainer, "_validate", killed)
    for other in (config(encoder_learning_rate=0.1), config() | {"seed": 9}):
        with pytest.raises(KilledError):
            pretrain.main(arguments(other, corpus=corpus, output=tmp_path / "seed5"))
    assert len(state_files(tmp_path / "seed5")) == 2
    monkeypatch.undo()
    pretrain.main(arguments(config(), corpus=corpus, output=tmp_path / "seed5"))
    assert_same_result(tmp_path / "seed5", finished)
    assert not state_files(tmp_path / "seed5"), "a finished run removes the states of older ones"


def test_the_state_of_another_run_is_refused_whatever_its_name(tmp_path):
    one, other = (StateFile(tmp_path / "seed5", digest) for digest in ("one", "other"))
    one.save({"steps_done": 3})
    assert one.load(torch.device("cpu")) == {"steps_done": 3}
    one.path.rename(other.path)
    with pytest.raises(UserError, match=r"seed5-other\.state is damaged: delete it to start over"):
        other.load(torch.device("cpu"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(corpus, tmp_path, monkeypatch):
    losses, calls = Trainer._compute_losses, 0

    def diverging(trainer, batch):
        nonlocal calls
        calls += 1
        by_worker = losses(trainer, batch)
        return by_worker | {"mfcc": by_worker["mfcc"] * float("nan")} if calls == 3 else by_worker

    monkeypatch.setattr(Trainer, "_compute_losses", diverging)
    with pytest.raises(UserError, match="loss of worker mfcc is nan in step 3"):
        pretrain.main(arguments(config(), corpus=corpus, output=tmp_path / "seed5"))
    assert not (tmp_path / "seed5").exists()
    saved = torch.load(state_files(tmp_path / "seed5")[0], weights_only=True)
    assert saved["steps_done"] == 2
    assert all(torch.isfinite(value).all() for value in saved["modules"]["encoder"].values())


def test_weights_that_are_not_finite_never_replace_a_good_state(corpus, tmp_path, monkeypatch):
    train_step, steps_taken = Trainer._train_step, 0

    def exploding(trainer, *arguments):
        nonlocal steps_taken
        steps_taken += 1
        train_step(trainer, *arguments)
        if steps_taken == 3:
            trainer.encoder.W.weight.data[0] = float("inf")

    monkeypatch.setattr(Trainer, "_train_step", exploding)
    with pytest.raises(UserError, match="weights of encoder are not finite after step 3"):
        pretrain.main(arguments(config(), corpus=corpus, output=tmp_path / "seed5"))
    assert torch.load(state_files(tmp_path / "seed5")[0], weights_only=True)["steps_done"] == 2


def test_a_diverging_run_ends_in_one_line(corpus, tmp_path):
    diverging = config(encoder_learning_rate=1e30, worker_learning_rate=1e30)
    with pytest.raises(UserError, match="lower the recipe's learning rates"):
        pretrain.main(arguments(diverging, corpus=corpus, output=tmp_path / "seed5"))


def test_a_damaged_state_is_a_clear_error(corpus, tmp_path, monkeypatch):
    command_line = arguments(config(), corpus=corpus, output=tmp_path / "seed5")
    monkeypatch.setattr(Trainer, "_validate", lambda *_: (_ for _ in ()).throw(KilledError))
    with pytest.raises(KilledError):
        pretrain.main(command_line)
    state = state_files(tmp_path / "seed5")[0]
    content = state.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (content[:1000], bytes(flipped)):
        state.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged: delete it to start over"):
            pretrain.main(command_line)


def saved_at(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in state_files(output)}


def is_saving(output: Path) -> bool:
    return any(output.parent.glob(f"..{output.name}-*.partial*"))


@pytest.mark.slow
def test_killed_processes_end_with_the_same_bytes(finished, corpus, tmp_path):
    """Processes killed (SIGKILL) at 20 random points: in a step or validation, while saving, before the first state."""
    rng, output = random.Random(0), tmp_path / "run0" / "seed5"
    killed, partial_files, runs, resumed = 0, 0, 0, 0
    while killed < 20:
        process = processes.start(
            pretrain.main, arguments(config(), corpus=corpus, output=output), log=tmp_path / "log"
        )
        before = saved_at(output)
        while_saving = rng.random() < 0.4
        if while_saving or rng.random() < 0.8:  # else at any time, perhaps before the first step
            while process.is_alive() and (saved_at(output) == before or (while_saving and not is_saving(output))):
                time.sleep(0 if while_saving else 0.001)
        if not while_saving:
            time.sleep(rng.random() * 0.05)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            killed += 1
            partial_files += is_saving(output)
            resumed += bool(state_files(output))
        else:  # the run finished before the kill: check it, and continue with another run
            assert process.exitcode == 0, (tmp_path / "log").read_text()
            assert_same_result(output, finished)
            runs += 1
            output = tmp_path / f"run{runs}" / "seed5"
    pretrain.main(arguments(config(), corpus=corpus, output=output))
    assert_same_result(output, finished)
    assert list(output.parent.iterdir()) == [output], "partial states are removed too"
    assert partial_files >= 3, "some kills must happen while a state is saved"
    assert resumed >= 10, "most kills must leave a state to resume from"


def assert_equal_within_rounding(output: Path, expected: Path) -> None:
    """Compare every tensor and every loss with a tolerance of 1e-5."""
    weights, wanted = (load_file(folder / "encoder.safetensors") for folder in (output, expected))
    assert weights.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(weights[key], value, rtol=1e-5, atol=1e-5)
    losses, wanted_losses = (pd.read_csv(folder / "losses.csv") for folder in (output, expected))
    pd.testing.assert_frame_equal(losses, wanted_losses, rtol=1e-5, check_exact=False)


@pytest.fixture(scope="module")
def all_six(corpus, tmp_path_factory):
    """Config, features and result of one process with all six workers."""
    folder = tmp_path_factory.mktemp("all_six")
    features = {"prosody": folder / "prosody.npy"}
    write_features(features["prosody"], corpus, channels=4)
    chosen = all_workers(config(batch=4, accumulate=2, epochs=2))
    chosen["recipe"] |= {"chunk_seconds": 0.35}  # so that a part of two has enough frames for stable statistics
    pretrain.main(arguments(chosen, corpus=corpus, output=folder / "alone" / "seed5", features=features))
    return chosen, features, folder / "alone" / "seed5"


@pytest.mark.slow
def test_torchrun_gives_the_result_of_one_process(all_six, corpus, tmp_path):
    chosen, features, alone = all_six
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "workflow_scripts.pretrain"]
    command += arguments(chosen, corpus=corpus, output=tmp_path / "seed5", features=features)
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert_equal_within_rounding(tmp_path / "seed5", alone)
    records = [json.loads((folder / "record.json").read_text()) for folder in (alone, tmp_path / "seed5")]
    assert [record["processes"] for record in records] == [1, 2]
    assert records[0]["flops_per_step"] == records[1]["flops_per_step"]
    assert ended.stderr.count("epoch 2/2") == 1, "only the main process prints"
    assert not state_files(tmp_path / "seed5")


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_a_single_process_can_resume(all_six, corpus, tmp_path):
    chosen, features, alone = all_six
    output, log = tmp_path / "run" / "seed5", tmp_path / "log"
    command_line = arguments(chosen, corpus=corpus, output=output, features=features)
    group = processes.start_group(pretrain.main, command_line, log=log)
    while not state_files(output):
        time.sleep(0.001)
    os.kill(group[1].pid, signal.SIGTERM)
    assert processes.exit_codes(group) == [EXIT_INTERRUPTED] * 2, log.read_text()
    assert log.read_text().count("stopped by SIGTERM after step") == 1
    assert not output.exists()
    pretrain.main(command_line)
    assert_equal_within_rounding(output, alone)
    assert json.loads((output / "record.json").read_text())["resumed"] == 1


def test_a_batch_that_cannot_be_shared_equally_is_refused(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(UserError, match=r"a batch of 4 in 2 parts .* 3 processes: choose a multiple of 6"):
        pretrain.main(arguments(config(batch=4, accumulate=2), corpus=corpus, output=tmp_path / "seed5"))


def test_the_record_contains_the_cost_of_the_steps(finished):
    record = json.loads((finished / "record.json").read_text())
    # each weight is used in each of 25 frames
    assert record["flops_per_step"] > 2 * record["parameters"]["encoder"] * 25
    assert 0 < record["waiting_share"] < 1
    assert record["processes"] == 1
    assert record["compiled"] is False
    assert record["peak_device_memory_bytes"] is None
    assert record["model_flops_utilisation"] is None


def test_counting_flops_happens_once_and_does_not_change_the_result(finished, corpus, tmp_path, monkeypatch):
    calls = []

    def uncounted(function):
        calls.append(function)
        return function(), 1

    monkeypatch.setattr(trainer, "count_flops", uncounted)
    pretrain.main(arguments(config(), corpus=corpus, output=tmp_path / "seed5"))
    assert len(calls) == 1
    assert_same_result(tmp_path / "seed5", finished)


def test_a_slow_disk_is_recorded_as_waiting(corpus, tmp_path, monkeypatch):
    read = BatchLoader._read

    def slow(*arguments):
        time.sleep(2)  # more than a step takes, also on a busy machine
        return read(*arguments)

    monkeypatch.setattr(BatchLoader, "_read", slow)
    pretrain.main(arguments(config(epochs=1), corpus=corpus, output=tmp_path / "seed5"))
    assert json.loads((tmp_path / "seed5" / "record.json").read_text())["waiting_share"] > 0.5


def test_an_encoder_that_cannot_be_compiled_is_trained_without_compilation(
    finished, corpus, tmp_path, monkeypatch, capsys
):
    def uncompilable(module):
        def call(values):
            module(values)  # changes the running means
            torch.rand(1)
            raise RuntimeError("no\ncompiler")

        return call

    monkeypatch.setattr(torch, "compile", uncompilable)
    pretrain.main(arguments(config(compile=True), corpus=corpus, output=tmp_path / "seed5"))
    assert (
        capsys.readouterr().err.count("training without torch.compile, which failed (RuntimeError: no compiler)") == 1
    )
    assert_same_result(tmp_path / "seed5", finished)
    assert json.loads((tmp_path / "seed5" / "record.json").read_text())["compiled"] is False


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++")
def test_a_compiled_encoder_has_the_same_keys_and_nearly_the_same_weights(finished, corpus, tmp_path):
    pretrain.main(arguments(config(compile=True), corpus=corpus, output=tmp_path / "seed5"))
    assert json.loads((tmp_path / "seed5" / "record.json").read_text())["compiled"] is True
    weights, wanted = (load_file(folder / "encoder.safetensors") for folder in (tmp_path / "seed5", finished))
    assert weights.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(weights[key], value, rtol=1e-4, atol=1e-4)


def test_all_six_workers_train_together(all_six):
    losses = pd.read_csv(all_six[2] / "losses.csv")
    assert sorted(set(losses["worker"])) == ["chroma", "lps", "mfcc", "prosody", "tempogram", "waveform"]
    assert (losses["weight"] == 1).all()


def test_initial_weights_do_not_depend_on_the_other_workers(corpus, tmp_path):
    def initial_weights(workers):
        run = Pretraining(
            config=config() | {"workers": {name: {} for name in workers}},
            corpus=corpus,
            features={},
            output=tmp_path,
            code="",
            device=torch.device("cpu"),
        )
        return run.build_encoder().state_dict(), run.build_workers(8)["mfcc"].state_dict()

    torch.testing.assert_close(initial_weights(["mfcc"]), initial_weights(["lps", "mfcc", "waveform"]), rtol=0, atol=0)


def test_training_lowers_the_validation_loss(corpus, tmp_path):
    recipe = config(epochs=6, steps_per_epoch=8, schedule="constant", save_state_seconds=1000, batch=4)
    recipe["recipe"] |= {"encoder_learning_rate": 0.005, "worker_learning_rate": 0.005}
    pretrain.main(arguments(recipe, corpus=corpus, output=tmp_path / "seed5"))
    losses = pd.read_csv(tmp_path / "seed5" / "losses.csv").query("split == 'valid' and worker == 'mfcc'")["loss"]
    assert losses.iloc[-1] < 0.9 * losses.iloc[0]


def test_training_in_bf16_is_recorded(corpus, tmp_path):
    pretrain.main(
        arguments(config(precision="bf16", epochs=1, steps_per_epoch=2), corpus=corpus, output=tmp_path / "seed5")
    )
    assert json.loads((tmp_path / "seed5" / "record.json").read_text())["precision"] == "bfloat16"
    weights = load_file(tmp_path / "seed5" / "encoder.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workers": {"prosody": {}}}, "worker prosody needs stored targets"),
        ({"workers": {}}, "at least one worker"),
        ({"workers": {"lps": {"hiden": 3}}}, "unknown key 'hiden' .*; allowed: .*hidden"),
        ({"encoder": {"name": "handcrafted", "options": {}}}, "handcrafted cannot be pre-trained"),
        ({"recipe": {"epoch": 3}}, "recipe: unknown key 'epoch' .*; allowed: .*epochs"),
    ],
)
def test_mistakes_in_the_config_end_in_one_line(corpus, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        pretrain.main(arguments(config() | change, corpus=corpus, output=tmp_path / "seed5"))


def test_a_corpus_of_another_sample_rate_is_refused(tmp_path):
    other = write_corpus(tmp_path / "tones", clips=5, seconds=0.5, sample_rate=8000)
    with pytest.raises(UserError, match="at 8000 Hz and the encoder reads 16000 Hz"):
        pretrain.main(arguments(config(), corpus=other, output=tmp_path / "seed5"))
