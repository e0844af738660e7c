"""A compiled module computes the same as the plain module, also if compilation fails."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workflow_scripts.pretraining.device import CompiledModule, best_device


def build_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout())


def failing_in_forward(module):
    def call(values):
        module(values)  # moves the running means and draws a mask
        raise RuntimeError("no\ncompiler")

    return call


def failing_in_backward(module):
    def call(values):
        outputs = module(values)
        outputs.register_hook(lambda _: (_ for _ in ()).throw(RuntimeError("no\ncompiler")))
        return outputs

    return call


@pytest.mark.parametrize(
    ("compile_", "works"), [(failing_in_forward, False), (failing_in_backward, False), (lambda module: module, True)]
)
def test_trying_to_compile_has_no_side_effects(monkeypatch, capsys, compile_, works):
    monkeypatch.setattr(torch, "compile", compile_)
    plain, wrapped = build_network(), build_network()
    compiled = CompiledModule(wrapped)
    inputs = torch.randn(6, 4)
    assert not compiled.works
    for _ in range(2):
        outputs = []
        for module in (compiled, plain):
            torch.manual_seed(1)
            outputs.append(module(inputs))
        torch.testing.assert_close(*outputs, rtol=0, atol=0)
    assert compiled.works == works
    torch.testing.assert_close(wrapped.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in wrapped.parameters())
    line = "training without torch.compile, which failed (RuntimeError: no compiler)\n"
    assert capsys.readouterr().err == ("" if works else line)


@pytest.mark.parametrize("cuda", [True, False])
@pytest.mark.parametrize("apple", [True, False])
def test_apples_gpu_is_refused_in_one_line_with_the_reason(monkeypatch, capsys, cuda, apple):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    assert best_device() == torch.device("cuda" if cuda else "cpu")
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == (apple and not cuda)
    assert all("Apple's GPU (mps) has no float64" in line for line in errors)
