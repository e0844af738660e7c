"""Two processes with a share each compute what one computes with the whole batch."""

from __future__ import annotations

import copy
import os
import signal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.processes import codes, start_group
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining import distributed
from workflow_scripts.pretraining.interruption import Interruption

CPU = torch.device("cpu")
NORMALISATIONS = {
    "frames": (nn.BatchNorm1d(5), (5, 7)),
    "vectors": (nn.BatchNorm1d(5), (5,)),
    "maps": (nn.BatchNorm2d(5), (5, 3, 2)),
    "plain": (nn.BatchNorm1d(5, affine=False), (5, 7)),
    "cumulative": (nn.BatchNorm1d(5, momentum=None), (5, 7)),
    "untracked": (nn.BatchNorm1d(5, track_running_stats=False), (5, 7)),
}
EXAMPLES = 6


def shares(values: Tensor) -> tuple[Tensor, Tensor]:
    """What each process gets: two examples and four, so that equal shares are no condition."""
    return values[:2], values[2:]


def normalised(name: str, *, pick=lambda values: values, dtype=torch.float64) -> dict[str, Tensor]:
    """Three training steps of a normalisation with other inputs each, then evaluation; `pick` takes the own share."""
    original, shape = NORMALISATIONS[name]
    network = nn.Sequential(copy.deepcopy(original)).to(torch.float64)
    distributed.synchronize_batch_norm(network)
    found = {"keys": list(network.state_dict())}
    generator = torch.Generator().manual_seed(1)
    for step in range(3):
        inputs = 1000 + torch.randn(EXAMPLES, *shape, generator=generator, dtype=torch.float64)
        slopes = torch.randn(EXAMPLES, *shape, generator=generator, dtype=torch.float64)
        own = pick(inputs).to(dtype).requires_grad_()
        outputs = network(own)
        (outputs.square() * pick(slopes)).sum().backward()
        found |= {f"outputs{step}": outputs.detach(), f"gradient{step}": own.grad}
    found |= {f"slope of {key}": value.grad for key, value in network.named_parameters()}
    network.eval()
    return found | network.state_dict() | {"evaluated": network(pick(inputs)).detach()}


class Embedder(nn.Module):
    """A linear layer whose loss compares each example with all others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer, self.unused = nn.Linear(4, 3, dtype=torch.float64), nn.Linear(1, 1)

    def loss(self, audio: Tensor) -> Tensor:
        embeddings = self.layer(audio)
        every = distributed.all_gather(embeddings)
        first = distributed.rank() * len(audio)
        return functional.cross_entropy(embeddings @ every.T, torch.arange(first, first + len(audio)))


def contrasted(audio: Tensor) -> dict[str, Tensor]:
    embedder = Embedder()
    loss = embedder.loss(audio)
    loss.backward()
    distributed.average_gradients(embedder.parameters())
    assert embedder.unused.weight.grad is None
    return {
        "loss": distributed.all_reduce_mean(loss),
        "weight": embedder.layer.weight.grad,
        "bias": embedder.layer.bias.grad,
    }


def audio() -> Tensor:
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def side_by_side(folder) -> None:
    """All that two processes do; each writes what it found."""
    with distributed.process_group(CPU) as device:
        own = distributed.rank()
        found = {
            "device": str(device),
            "place": (distributed.rank(), distributed.world_size(), distributed.is_main_process()),
            "largest": distributed.all_reduce_max(10 - own),
            "mean": distributed.all_reduce_mean(torch.tensor([1.0, 5.0]) + own),
            "gathered": distributed.all_gather(torch.full((2, 1), float(own))),
            "normalised": {name: normalised(name, pick=lambda values: shares(values)[own]) for name in NORMALISATIONS},
            "rounded": normalised("frames", pick=lambda values: shares(values - 1000)[own], dtype=torch.bfloat16),
            "contrasted": contrasted(audio().chunk(2)[own]),
        }
        spread = nn.BatchNorm1d(2)
        spread.weight.data.fill_(own + 1.0)
        spread.num_batches_tracked.fill_(own + 7)
        distributed.broadcast_parameters([spread])
        found["spread"] = spread.state_dict()
        with Interruption() as interruption:
            if own == 1:
                os.kill(os.getpid(), signal.SIGUSR1)
            before = interruption.requested
            interruption.synchronize()
            found["requested"] = (before, interruption.requested)
        torch.save(found, folder / f"{own}.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("found")
    assert codes(start_group(side_by_side, folder, log=folder / "log")) == [0, 0], (folder / "log").read_text()
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_alone_nothing_changes():
    values = torch.randn(3, 2, requires_grad=True)
    assert distributed.all_gather(values) is values
    assert distributed.all_reduce_mean(values) is values
    assert distributed.all_reduce_max(3) == 3
    assert (distributed.rank(), distributed.world_size(), distributed.is_main_process()) == (0, 1, True)
    network = nn.Sequential(nn.BatchNorm1d(2))
    distributed.synchronize_batch_norm(network)
    assert type(network[0]) is nn.BatchNorm1d
    with distributed.process_group(CPU) as device:
        assert device is CPU
        assert distributed.world_size() == 1


def test_more_processes_than_gpus_is_a_clear_error(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "99", "LOCAL_RANK": "98"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(UserError, match="give torchrun --nproc-per-node"),
        distributed.process_group(torch.device("cuda")),
    ):
        pass


def test_processes_know_and_agree(found):
    assert [each["place"] for each in found] == [(0, 2, True), (1, 2, False)]
    for each in found:
        assert each["device"] == "cpu"
        assert each["largest"] == 10
        assert each["mean"].tolist() == [1.5, 5.5]
        assert each["gathered"].flatten().tolist() == [0, 0, 1, 1]
        assert each["spread"]["weight"].tolist() == [1, 1]
        assert each["spread"]["num_batches_tracked"] == 7


def test_a_signal_to_one_is_a_request_to_all(found):
    assert [each["requested"] for each in found] == [(None, "SIGUSR1")] * 2


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_joint_normalisation_is_that_of_the_joint_batch(found, name):
    expected = normalised(name)
    if name == "untracked":
        del expected["evaluated"]  # without running statistics evaluation uses those of what it is given
    mine, other = (each["normalised"][name] for each in found)
    assert mine.keys() - expected.keys() <= {"evaluated"}
    assert mine["keys"] == expected.pop("keys")
    for key, value in expected.items():
        if key.startswith(("outputs", "gradient", "evaluated")):
            joint = torch.cat([mine[key], other[key]])
        elif key.startswith("slope"):
            joint = mine[key] + other[key]  # of sums of the shares' losses
        else:
            assert torch.equal(mine[key], other[key])
            joint = mine[key]
        torch.testing.assert_close(joint, value, rtol=1e-9, atol=1e-9)


def test_rounded_inputs_are_normalised_in_float32(found):
    exact = normalised("frames", pick=lambda values: values - 1000)
    outputs = torch.cat([each["rounded"]["outputs0"] for each in found])
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.double(), exact["outputs0"], rtol=0.02, atol=0.02)


def test_gathered_examples_pass_gradients_back_to_their_process(found):
    expected = contrasted(audio())
    for each in found:
        torch.testing.assert_close(each["contrasted"], expected, rtol=1e-12, atol=1e-12)
