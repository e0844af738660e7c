"""The QRNN equals a loop over frames in float64, gate by gate and gradient by gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests import golden
from workflow_scripts.networks.qrnn import LinearRecurrence, Qrnn


def run_loop(network: Qrnn, frames: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Frame after frame: gates on (x_t, x_{t-1}) in the order Z, F, O; c_t = f z + (1 - f) c_{t-1}; h_t = o c_t."""
    last = []
    for layer, value in zip(network.layers, start, strict=True):
        weight, bias = layer.linear.weight, layer.linear.bias
        hidden, cell, before = [], value, torch.zeros_like(frames[..., 0])
        for frame in frames.unbind(-1):
            z, f, o = (torch.cat([frame, before], dim=1) @ weight.T + bias).chunk(3, dim=1)
            f = f.sigmoid()
            cell = f * z.tanh() + (1 - f) * cell
            hidden.append(o.sigmoid() * cell)
            before = frame
        frames = torch.stack(hidden, dim=-1)
        last.append(cell)
    return frames, torch.stack(last)


class TimeFirst(nn.Module):
    """The network in the official layout (time, batch, feature)."""

    def __init__(self, network: Qrnn) -> None:
        super().__init__()
        self.layers, self.network = network.layers, [network]  # in a list, so that keys get no prefix

    def forward(self, frames: Tensor, start: Tensor | None = None) -> Tensor:
        return self.network[0](frames.permute(1, 2, 0), start)[0].permute(2, 0, 1)


@pytest.fixture
def official() -> tuple[golden.Case, TimeFirst]:
    case = golden.open_case("qrnn")
    model = TimeFirst(Qrnn(512, 512))
    case.load_into(model)
    return case, model


def test_outputs_equal_the_official_code(official):
    case, model = official
    frames = case.input("x")
    assert case.error("y", model(frames)) <= 1
    assert case.error("y_with_h0", model(frames, case.input("h0"))) <= 1
    assert case.error("h_last", model.network[0](frames.permute(1, 2, 0))[1]) <= 1


def test_training_pass_equals_the_official_code(official):
    case, model = official
    case.check_training_pass(model, case.input("x"))


def test_number_of_parameters():
    assert sum(parameter.numel() for parameter in Qrnn(512, 512).parameters()) == 1_574_400


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 40)),
    hidden=st.integers(1, 4),
    layers=st.integers(1, 3),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    started=st.booleans(),
)
def test_outputs_states_and_gradients_equal_a_loop(*, shape, hidden, layers, scale, started):
    clips, inputs, frames = shape
    network = Qrnn(inputs, hidden, layers=layers).double()
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.weight *= scale  # at 30 the gates are all but closed or open
    given_frames = torch.randn(clips, inputs, frames, dtype=torch.float64, requires_grad=True)
    start = torch.randn(layers, clips, hidden, dtype=torch.float64, requires_grad=True) if started else None
    zeros = torch.zeros(layers, clips, hidden, dtype=torch.float64)
    wanted = [given_frames, *network.parameters(), *([start] if started else [])]
    results = network(given_frames, start), run_loop(network, given_frames, start if started else zeros)
    weights = [torch.randn_like(result) for result in results[0]]
    gradients = [
        torch.autograd.grad(sum((w * r).sum() for w, r in zip(weights, pair, strict=True)), wanted) for pair in results
    ]
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
def test_gradients_of_the_recurrence_are_the_numerical_ones(frames):
    keep, new = (torch.rand(frames, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    start = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LinearRecurrence.apply, (keep, new, start))


@pytest.mark.parametrize("forget", [-30.0, -5.0, 0.0, 5.0, 30.0, None])
def test_float32_stays_exact_over_thirty_seconds_however_the_gates_stand(forget):
    torch.manual_seed(0)
    network = Qrnn(4, 4)
    with torch.no_grad():
        network.layers[0].linear.weight *= 30 if forget is None else 1  # None: each gate at its own extreme
        if forget is not None:
            network.layers[0].linear.bias[4:8] = forget
    frames = torch.randn(2, 4, 3000, requires_grad=True)
    outputs, last = network(frames)
    outputs.square().sum().backward()
    exact = Qrnn(4, 4).double()
    exact.load_state_dict(network.state_dict())
    exact_frames = frames.detach().double().requires_grad_()
    expected, expected_last = run_loop(exact, exact_frames, torch.zeros(1, 2, 4, dtype=torch.float64))
    expected.square().sum().backward()
    torch.testing.assert_close(outputs.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last.double(), expected_last, rtol=1e-4, atol=1e-5)
    size = float(exact_frames.grad.abs().max())
    torch.testing.assert_close(frames.grad.double(), exact_frames.grad, rtol=1e-3, atol=1e-5 * size)
    for actual, wanted in zip(network.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(actual.grad.double(), wanted.grad, rtol=1e-3, atol=1e-4 * float(wanted.grad.norm()))


def test_no_frame_depends_on_a_later_one():
    network, frames = Qrnn(3, 5, layers=2), torch.randn(2, 3, 21)
    outputs, _ = network(frames)
    for changed in (0, 7, 20):
        others = frames.clone()
        others[..., changed] += 1
        later, _ = network(others)
        assert torch.equal(later[..., :changed], outputs[..., :changed])
        assert not torch.equal(later[..., changed], outputs[..., changed])


def test_the_gates_read_one_frame_back_even_where_the_cell_forgets_all():
    network = Qrnn(3, 5)
    with torch.no_grad():
        network.layers[0].linear.bias[5:10] = 100.0  # the forget gate lets only the new value in
    frames = torch.randn(1, 3, 10)
    others = frames.clone()
    others[..., 4] += 1
    differs = (network(others)[0] != network(frames)[0]).any(dim=1)[0]
    assert differs.tolist() == [False] * 4 + [True] * 2 + [False] * 4


def test_autocast_keeps_the_recurrence_in_float32():
    network = Qrnn(1, 1)
    with torch.no_grad():
        network.layers[0].linear.weight.zero_()
        network.layers[0].linear.bias.copy_(torch.tensor([20.0, -6.0, 20.0]))  # z = 1, o = 1, f = 0.0025
    frames = torch.zeros(1, 1, 1000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = network(frames)
    assert outputs.dtype == torch.float32
    forget = torch.sigmoid(torch.tensor(-6.0, dtype=torch.float64))
    expected = 1 - (1 - forget) ** torch.arange(1, 1001)
    torch.testing.assert_close(outputs[0, 0].double(), expected, rtol=1e-4, atol=0)


def test_autocast_trains():
    network, frames = Qrnn(6, 6), torch.randn(2, 6, 50)
    exact = torch.autograd.grad(network(frames)[0].square().sum(), list(network.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = network(frames)
    rounded = torch.autograd.grad(outputs.square().sum(), list(network.parameters()))
    for actual, wanted in zip(rounded, exact, strict=True):
        assert (actual - wanted).norm() <= 0.03 * wanted.norm()


class Operations(TorchDispatchMode):
    """Counts the operations that run."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_the_work_is_parallel_in_time():
    def operations(frames: int) -> int:
        network = Qrnn(2, 2)
        with Operations() as counted:
            network(torch.randn(1, 2, frames))[0].sum().backward()
        return counted.count

    eightfold = operations(800) - operations(100)
    assert eightfold < 3 * 40, "three more levels of pairs, forwards and backwards"
    assert operations(6400) - operations(800) == eightfold


@pytest.mark.slow
def test_compiles_into_one_graph():
    network, frames = Qrnn(3, 4, layers=2), torch.randn(2, 3, 30)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    expected = torch.autograd.grad(network(frames)[0].sum(), list(network.parameters()))
    actual = torch.autograd.grad(compiled(frames)[0].sum(), list(network.parameters()))
    torch.testing.assert_close(actual, expected)
