from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.inference.cluster_bootstrap import bootstrap
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates, bootstrap_cells, read_predictions
from workflow_scripts.statistics.trials import gather


def drawn(results: Results, **more: int) -> tuple[BootstrapReplicates, list]:
    """What is redrawn, and the cells of the plan in macro F1."""
    plan = Manifest.from_json(results.plan)
    samples = TrialSamples(gather(plan).trials)
    return bootstrap_cells(plan, samples, **more), [
        samples.get(evaluation, "macro_f1") for evaluation in plan.evaluations
    ]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path)
    made.predict(factors("pase", "frozen", "openmic"), 1.5, seed=1)
    made.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    return made


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compressed") / "predictions.npz"
    random = np.random.default_rng(0)
    scores = random.random((3, 20, 4)).astype(np.float32)
    parts = {"labels": np.eye(4)[random.integers(4, size=20)], "groups": np.arange(20), "confusion": np.ones((3, 4, 4))}
    np.savez_compressed(path, scores=scores, **parts)
    return path


def predictions_of(results: Results, number: int) -> Path:
    return Path(results.plan["evaluations"][number]["path"]).with_name("predictions.npz")


def test_it_is_the_bootstrap_of_the_stored_predictions(results: Results) -> None:
    made, (pase, random) = drawn(results)
    predictions = read_predictions(predictions_of(results, 0))
    assert predictions is not None
    expected = bootstrap(predictions)["macro_f1"]
    found = made.of(pase)
    assert found is not None
    np.testing.assert_array_equal(found.replicates, expected.replicates)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12)
    other = made.of(random)
    assert other is not None
    assert other.resample_id == found.resample_id, "the same clips are drawn for both methods"


def test_threads_change_nothing(results: Results) -> None:
    for one, other in zip(
        drawn(results)[0].bootstraps.values(), drawn(results, threads=3)[0].bootstraps.values(), strict=True
    ):
        np.testing.assert_array_equal(one.replicates, other.replicates)


def test_cells_without_usable_predictions_are_left_out(results: Results) -> None:
    predictions_of(results, 0).unlink()
    with np.load(predictions_of(results, 1)) as stored:
        kept = {name: stored[name] for name in stored if name != "groups"}
    np.savez(predictions_of(results, 1), **kept)
    made, samples = drawn(results)
    assert [made.of(sample) for sample in samples] == [None, None]
    assert made.all_of(samples) is None


@pytest.mark.parametrize("kept", [b"", b"no archive"])
def test_a_damaged_file_is_named(results: Results, kept: bytes) -> None:
    predictions_of(results, 0).write_bytes(kept)
    with pytest.raises(UserError, match=r"predictions\.npz is missing or damaged: delete its folder"):
        drawn(results)


@settings(deadline=None, max_examples=25)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_no_changed_byte_of_a_compressed_file_is_a_crash(compressed: Path, place: float, byte: int) -> None:
    content = bytearray(compressed.read_bytes())
    content[int(place * len(content))] = byte
    damaged = compressed.with_name("damaged.npz")
    damaged.write_bytes(content)
    with suppress(UserError):  # or it is still a file of predictions: not every byte matters
        read_predictions(damaged)


def test_parts_of_different_cells_are_named(results: Results) -> None:
    path = predictions_of(results, 0)
    with np.load(path) as stored:
        np.savez(path, **{name: stored[name] for name in stored if name != "labels"}, labels=np.eye(4))
    with pytest.raises(UserError, match=r"predictions\.npz: .* do not belong together"):
        drawn(results)
