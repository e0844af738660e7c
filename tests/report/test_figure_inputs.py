from pathlib import Path

import pytest

from tests.figures import figure_asserts
from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report.figure_inputs import Evidence, Statistics, group_by_panel, select_methods


def evidence(results: Results) -> Evidence:
    manifest = read_manifest(results.manifest_file())
    return Evidence(study=manifest.studies[0], manifest=manifest, statistics=Statistics(statistics(results)))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return figure_asserts.make_study(
        tmp_path,
        figure={"kind": "dots"},
        rows=["workers", "head"],
        grid={"workers": ["WLP", "WLPT"], "head": ["linear", "other"], "dataset": ["openmic", "fma_small"]},
        floors=["random"],
    )


def test_factors_that_do_not_vary_within_a_panel_make_panels_with_the_data_set_first(results: Results) -> None:
    panels = group_by_panel(evidence(results).methods, varying=["workers"])
    assert list(panels) == ["OpenMIC, linear", "FMA small, linear", "OpenMIC, other", "FMA small, other"]
    workers = [[method.levels["workers"] for method in methods] for methods in panels.values()]
    assert workers == [["WLP", "WLPT", "none"]] * 2 + [["WLP", "WLPT"]] * 2  # the floor has the linear head alone


def test_levels_select_methods_whatever_their_type(tmp_path: Path) -> None:
    methods = evidence(
        figure_asserts.make_study(tmp_path, figure={"kind": "dots"}, rows=["workers"], grid={"workers": ["1"]})
    ).methods
    assert select_methods(methods, {"workers": 1}) == list(methods)
    assert select_methods(methods, {"workers": 2}) == []


def test_pretraining_seeds_belong_to_one_method_and_missing_ones_have_reasons(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "dots"}, rows=["workers"], grid={"workers": ["WLP"], "pretrain_seed": [0, 1, 2]}
    )
    figure_asserts.remove_cells(results, pretrain_seed=1)
    (method,) = evidence(results).methods
    assert [cell.pretrain_seed for cell in method.cells] == ["0", "2"]
    assert len(method.planned_cells) == 3
    assert (method.reason, method.facts["n_pretraining_seeds"], method.train_clips) == ("not run", 2, 4000)


def test_the_interval_of_a_figure_is_that_of_the_table(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.predict(factors("pase", "frozen", "openmic"), 1.2, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    inputs = evidence(results)
    entries = inputs.statistics.tables["entries"]
    assert sorted(method.levels["encoder"] for method in inputs.methods) == ["pase", "random"]
    for method in inputs.methods:
        assert method.estimate is not None
        row = entries[entries["encoder"] == method.levels["encoder"]].iloc[0]
        fields = method.estimate.fields(100)
        assert fields["variance_sources"] == row["variance_sources"] == "trials and test set"
        assert (fields["mean"], fields["ci_low"], fields["ci_high"]) == pytest.approx(
            (100 * row["mean"], 100 * row["ci_low"], 100 * row["ci_high"])
        )
        assert (fields["replicate"], fields["n"]) == ("trials", 10)


def test_only_the_study_s_own_trials_and_runs_are_inputs(results: Results) -> None:
    figure_asserts.write_losses(results, epochs=1)
    for place, entry in enumerate(results.manifest["cells"]):
        if entry["factors"]["workers"] == "WLPT":
            results.manifest["studies"]["fig2"]["cells"].remove(place)
    inputs = evidence(results)
    assert set(inputs.trials["workers"]) == {"WLP", "none"}
    assert set(inputs.losses()["workers"]) == {"WLP"}


def test_predictions_come_with_their_classes(results: Results) -> None:
    figure_asserts.write_predictions(results, classes=["a", "b"])
    predictions = evidence(results).predictions(read_manifest(results.manifest_file()).cells[0])
    assert predictions.classes == ("a", "b")
    assert predictions.confusion.shape == (10, 2, 2)
    assert predictions.scores.shape == (10, 1, 2)


def test_missing_statistics_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trials\.csv: no such file; run aggregate first"):
        _ = Statistics(tmp_path).trials
