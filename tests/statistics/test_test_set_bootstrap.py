from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics
from workflow_scripts.statistics.predictions import read_predictions
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates, bootstrap_cells
from workflow_scripts.statistics.trials import gather


def replicates_of(results: Results, **more: int) -> tuple[BootstrapReplicates, list]:
    """Bootstrap the cells of the plan; return the replicates and the samples in macro F1."""
    manifest = results.read()
    samples = TrialSamples(gather(manifest).trials)
    return bootstrap_cells(manifest, samples, **more), [
        samples.get(evaluation, "macro_f1") for evaluation in manifest.cells
    ]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    replicates = Results(tmp_path)
    replicates.predict(factors("pase", "frozen", "openmic"), 1.5, seed=1)
    replicates.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    return replicates


def predictions_of(results: Results, number: int) -> Path:
    return Path(results.manifest["cells"][number]["path"]).with_name("predictions.npz")


def test_it_is_the_bootstrap_of_the_stored_predictions(results: Results) -> None:
    bootstraps, (pase, random) = replicates_of(results)
    predictions = read_predictions(predictions_of(results, 0))
    expected = bootstrap_metrics(predictions)["macro_f1"]
    bootstrap = bootstraps.of(pase)
    assert bootstrap is not None
    np.testing.assert_array_equal(bootstrap.replicates, expected.replicates)
    np.testing.assert_allclose(bootstrap.values, expected.values, rtol=0, atol=1e-12)
    other = bootstraps.of(random)
    assert other is not None
    assert other.resample_id == bootstrap.resample_id, "both methods are measured on the same resamples"


def test_threads_change_nothing(results: Results) -> None:
    for one, other in zip(
        replicates_of(results)[0].bootstraps.values(),
        replicates_of(results, threads=3)[0].bootstraps.values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one.replicates, other.replicates)


def test_cells_without_usable_predictions_are_left_out(results: Results) -> None:
    predictions_of(results, 0).unlink()
    with np.load(predictions_of(results, 1)) as stored:
        kept = {name: stored[name] for name in stored if name != "groups"}
    np.savez(predictions_of(results, 1), **kept)
    replicates, samples = replicates_of(results)
    assert [replicates.of(sample) for sample in samples] == [None, None]
    assert replicates.all_of(samples) is None


@pytest.mark.parametrize("kept", [b"", b"no archive"])
def test_a_damaged_file_is_named(results: Results, kept: bytes) -> None:
    predictions_of(results, 0).write_bytes(kept)
    with pytest.raises(UserError, match=r"predictions\.npz is damaged: delete its folder"):
        replicates_of(results)


def test_parts_of_different_cells_are_named(results: Results) -> None:
    path = predictions_of(results, 0)
    with np.load(path) as stored:
        np.savez(path, **{name: stored[name] for name in stored if name != "labels"}, labels=np.eye(4))
    with pytest.raises(UserError, match=r"predictions\.npz: .* do not belong together"):
        replicates_of(results)
