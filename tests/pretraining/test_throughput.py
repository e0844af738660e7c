"""Cost of training steps: time by purpose, floating-point operations, and the peaks of GPUs."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from tests.emulated_gpu import GPU, PEAK_MEMORY, Event, emulated_gpu
from workflow_scripts.pretraining.throughput import DataWaitTimer, StepTimer, Throughput, count_flops, peak_flops

CPU = torch.device("cpu")


def test_the_flops_of_a_linear_layer_are_those_of_its_three_products():
    layer, inputs = nn.Linear(5, 7), torch.randn(11, 5, requires_grad=True)
    result, flops = count_flops(lambda: layer(inputs).square().sum().backward())
    assert result is None
    assert flops == 3 * 2 * 11 * 5 * 7  # forward, gradient of the inputs, gradient of the weights


def test_counting_flops_does_not_change_the_result():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(3, 4, 5), nn.BatchNorm1d(4), nn.Dropout(), nn.Conv1d(4, 2, 3))
    inputs = torch.randn(6, 3, 40)

    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(1)
        return list(torch.autograd.grad(network(inputs).square().mean(), list(network.parameters())))

    plain = gradients()
    counted, flops = count_flops(gradients)
    assert flops > 0
    assert all(torch.equal(one, other) for one, other in zip(plain, counted, strict=True))


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H200", torch.bfloat16, 989.4e12),
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, 989.4e12),
        ("NVIDIA H100 PCIe", torch.bfloat16, 756.5e12),
        ("NVIDIA A100-SXM4-80GB", torch.float32, 156e12),
        ("NVIDIA A10", torch.bfloat16, 125e12),
        ("NVIDIA L4", torch.float32, 60e12),
        ("NVIDIA L40S", torch.bfloat16, 362.05e12),
        ("NVIDIA L40", torch.bfloat16, None),
        ("Tesla V100-SXM2-16GB", torch.bfloat16, None),
        ("some other device", torch.float32, None),
    ],
)
def test_the_peak_of_a_gpu_is_that_of_its_full_name(name, precision, peak):
    assert peak_flops(name, precision) == peak


def test_waiting_stepping_and_other_time_are_measured_separately():
    throughput = Throughput()
    timer = StepTimer(throughput, CPU, steps_done=5)
    for _ in range(2):
        timer.data_wait.mark_step_end()
        time.sleep(0.03)
        timer.data_wait.mark_arrival()
        time.sleep(0.02)
    timer.lap(steps_done=7)
    time.sleep(0.05)
    timer.lap(steps_done=7)
    assert throughput.steps == 2
    assert 0.06 <= throughput.waiting_seconds < throughput.step_seconds - 0.03
    assert throughput.seconds >= throughput.step_seconds + 0.05
    assert throughput.peak_device_memory_bytes is None
    assert Throughput(**throughput.to_state()) == throughput


def test_the_record_contains_shares():
    throughput = Throughput(seconds=9, steps=4, step_seconds=8, waiting_seconds=2, flops_per_step=100)
    record = throughput.to_record(device=CPU, precision=torch.float32, processes=2)
    assert record == {
        "processes": 2,
        "waiting_share": 0.25,
        "peak_device_memory_bytes": None,
        "flops_per_step": 100,
        "model_flops_utilisation": None,
    }


def test_waiting_of_a_gpu_is_read_from_events_only_once_it_has_passed_them(monkeypatch):
    with emulated_gpu() as calls:
        timer = DataWaitTimer(GPU)
        timer.mark_arrival()  # of the first batch, which no step waited for
        monkeypatch.setattr(Event, "query", lambda _: False)
        timer.mark_step_end()
        time.sleep(0.01)
        timer.mark_arrival()
        assert calls == [("record", "computing")] * 2
        assert timer.take() == 0
        monkeypatch.setattr(Event, "query", lambda _: True)
        assert 0.01 <= timer.take() < 5
        assert timer.take() == 0


def test_the_record_of_a_gpu_has_its_memory_and_the_share_of_its_peak():
    with emulated_gpu():
        throughput = Throughput(flops_per_step=int(989.4e12))
        timer = StepTimer(throughput, GPU, steps_done=0)
        timer.lap(steps_done=2)
        assert throughput.peak_device_memory_bytes == PEAK_MEMORY
        throughput.step_seconds = 4.0
        for precision, utilisation in {torch.bfloat16: 0.25, torch.float32: 0.5}.items():
            record = throughput.to_record(device=GPU, precision=precision, processes=2)
            assert record["model_flops_utilisation"] == pytest.approx(utilisation)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_waiting_of_a_gpu_is_measured_by_its_own_clock():
    gpu = torch.device("cuda")
    timer = DataWaitTimer(gpu)
    timer.mark_step_end()
    torch.cuda._sleep(100_000_000)  # cycles: about 50 ms
    timer.mark_arrival()
    torch.cuda.synchronize()
    assert 0.01 < timer.take() < 1
    assert timer.take() == 0
