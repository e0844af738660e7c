import numpy as np
import pytest

from tests.statistics.synthetic_samples import (
    random_predictions,
)
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference import cluster_bootstrap
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics


def test_methods_on_other_clips_draws_metrics_or_trials_are_not_compared() -> None:
    one = bootstrap_metrics(random_predictions(0), resamples=10)
    for other in (
        bootstrap_metrics(random_predictions(1), resamples=10)["accuracy"],
        bootstrap_metrics(random_predictions(0), resamples=11)["accuracy"],
        bootstrap_metrics(random_predictions(0), resamples=10, seed=1)["accuracy"],
        bootstrap_metrics(random_predictions(0, trials=2), resamples=10)["accuracy"],
        one["macro_f1"],
    ):
        with pytest.raises(UserError, match="same test clips"):
            cluster_bootstrap.paired_difference(one["accuracy"], other)


def test_clips_that_both_sides_share_cancel_as_far_as_they_affect_both_alike() -> None:
    rng = np.random.default_rng(0)
    clips, own = rng.normal(size=(1, 4000)), 0.1 * rng.normal(size=(2, 3, 4000))
    one, other = clips + own  # (replicates, resamples) each
    alone = cluster_bootstrap.test_set_std_error([one], clusters=1000)
    together = cluster_bootstrap.test_set_std_error([one, other], clusters=1000)
    assert alone == pytest.approx(1, rel=0.05)
    assert together < 0.1


@pytest.mark.parametrize(("replicates", "clusters", "undefined"), [(1, 9, 0), (3, 2, 0), (3, 9, 1)])
def test_too_little_to_know_the_error_of_a_test_set(replicates: int, clusters: int, undefined: int) -> None:
    values = np.random.default_rng(0).normal(size=(replicates, 10))
    values[0, :undefined] = np.nan  # in a tenth of the resamples
    assert np.isnan(cluster_bootstrap.test_set_std_error([values], clusters=clusters))
