"""Two processes with a share of the batch each compute the same as one with the whole batch."""

from __future__ import annotations

import copy
import os
import signal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.processes import exit_codes, start_group
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


def split_unequally(values: Tensor) -> tuple[Tensor, Tensor]:
    """Split six examples into shares of two and four, because equal shares are not required."""
    return values[:2], values[2:]


def train_normalisation(name: str, *, pick=lambda values: values, dtype=torch.float64) -> dict[str, Tensor]:
    """Take three training steps of a normalisation on different inputs, then evaluate; `pick` selects the share."""
    original, shape = NORMALISATIONS[name]
    network = nn.Sequential(copy.deepcopy(original)).to(torch.float64)
    distributed.synchronize_batch_norm(network)
    results = {"keys": list(network.state_dict())}
    generator = torch.Generator().manual_seed(1)
    for step in range(3):
        inputs = 1000 + torch.randn(EXAMPLES, *shape, generator=generator, dtype=torch.float64)
        output_gradients = torch.randn(EXAMPLES, *shape, generator=generator, dtype=torch.float64)
        own = pick(inputs).to(dtype).requires_grad_()
        outputs = network(own)
        (outputs.square() * pick(output_gradients)).sum().backward()
        results |= {f"outputs{step}": outputs.detach(), f"input_gradient{step}": own.grad}
    results |= {f"gradient of {key}": value.grad for key, value in network.named_parameters()}
    network.eval()
    return results | network.state_dict() | {"evaluated": network(pick(inputs)).detach()}


class Embedder(nn.Module):
    """A linear layer whose loss compares each example with all others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer, self.unused = nn.Linear(4, 3, dtype=torch.float64), nn.Linear(1, 1)

    def loss(self, audio: Tensor) -> Tensor:
        embeddings = self.layer(audio)
        gathered = distributed.all_gather(embeddings)
        first = distributed.rank() * len(audio)
        return functional.cross_entropy(embeddings @ gathered.T, torch.arange(first, first + len(audio)))


def train_embedder(audio: Tensor) -> dict[str, Tensor]:
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


def run_process(folder) -> None:
    """Run all checks in one of two processes, and save its results."""
    with distributed.process_group(CPU) as device:
        own = distributed.rank()
        results = {
            "device": str(device),
            "place": (distributed.rank(), distributed.world_size(), distributed.is_main_process()),
            "maximum": distributed.all_reduce_max(10 - own),
            "mean": distributed.all_reduce_mean(torch.tensor([1.0, 5.0]) + own),
            "gathered": distributed.all_gather(torch.full((2, 1), float(own))),
            "normalised": {
                name: train_normalisation(name, pick=lambda values: split_unequally(values)[own])
                for name in NORMALISATIONS
            },
            "rounded": train_normalisation(
                "frames", pick=lambda values: split_unequally(values - 1000)[own], dtype=torch.bfloat16
            ),
            "contrasted": train_embedder(audio().chunk(2)[own]),
        }
        module = nn.BatchNorm1d(2)
        module.weight.data.fill_(own + 1.0)
        module.num_batches_tracked.fill_(own + 7)
        distributed.broadcast_parameters([module])
        results["broadcast"] = module.state_dict()
        with Interruption() as interruption:
            if own == 1:
                os.kill(os.getpid(), signal.SIGUSR1)
            before = interruption.requested
            interruption.synchronize()
            results["requested"] = (before, interruption.requested)
        torch.save(results, folder / f"{own}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("results")
    assert exit_codes(start_group(run_process, folder, log=folder / "log")) == [0, 0], (folder / "log").read_text()
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_every_function_is_the_identity_in_a_single_process():
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


def test_collectives_of_two_processes(results):
    assert [result["place"] for result in results] == [(0, 2, True), (1, 2, False)]
    for result in results:
        assert result["device"] == "cpu"
        assert result["maximum"] == 10
        assert result["mean"].tolist() == [1.5, 5.5]
        assert result["gathered"].flatten().tolist() == [0, 0, 1, 1]
        assert result["broadcast"]["weight"].tolist() == [1, 1]
        assert result["broadcast"]["num_batches_tracked"] == 7


def test_a_signal_to_one_process_is_a_request_to_all(results):
    assert [result["requested"] for result in results] == [(None, "SIGUSR1")] * 2


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_synchronized_normalisation_equals_that_of_the_joint_batch(results, name):
    expected = train_normalisation(name)
    if name == "untracked":
        del expected["evaluated"]  # without running statistics evaluation uses those of what it is given
    first, second = (result["normalised"][name] for result in results)
    assert first.keys() - expected.keys() <= {"evaluated"}
    assert first["keys"] == expected.pop("keys")
    for key, value in expected.items():
        if key.startswith(("outputs", "input_gradient", "evaluated")):
            joint = torch.cat([first[key], second[key]])
        elif key.startswith("gradient of"):
            joint = first[key] + second[key]  # of sums of the shares' losses
        else:
            assert torch.equal(first[key], second[key])
            joint = first[key]
        torch.testing.assert_close(joint, value, rtol=1e-9, atol=1e-9)


def test_bfloat16_inputs_are_normalised_in_float32(results):
    exact = train_normalisation("frames", pick=lambda values: values - 1000)
    outputs = torch.cat([result["rounded"]["outputs0"] for result in results])
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.double(), exact["outputs0"], rtol=0.02, atol=0.02)


def test_gradients_of_gathered_examples_flow_back_to_their_process(results):
    expected = train_embedder(audio())
    for result in results:
        torch.testing.assert_close(result["contrasted"], expected, rtol=1e-12, atol=1e-12)
