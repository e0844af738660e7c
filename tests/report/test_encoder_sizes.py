from pathlib import Path

import numpy as np
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results, factors
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import encoder_sizes
from workflow_scripts.report.figure_inputs import Evidence, Statistics


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return synthetic_studies.frozen_encoders(tmp_path)


def evidence(results: Results) -> Evidence:
    manifest = read_manifest(results.manifest_file())
    return Evidence(study=manifest.studies[0], manifest=manifest, statistics=Statistics(statistics(results)))


def test_sizes_are_those_in_the_records_of_pretraining(results: Results) -> None:
    figure_asserts.add_cell(results, factors("cpc", "supervised", "openmic"), np.full(3, 0.5))
    figure_asserts.write_encoder_sizes(results, parameters={"cpc": 5, "samplecnn": 7})
    inputs = evidence(results)
    sizes = {
        (m.levels["encoder"], m.levels["scenario"]): encoder_sizes.count_parameters(m, inputs) for m in inputs.methods
    }
    assert sizes == {
        ("cpc", "frozen"): 5,
        ("samplecnn", "frozen"): 7,
        ("cpc", "supervised"): 5,
        ("random", "frozen"): None,
    }


def test_an_encoder_without_a_record_has_no_size(results: Results) -> None:
    figure_asserts.write_encoder_sizes(results, parameters={"cpc": 5, "samplecnn": 7})
    for record in (results.folder / "pretrained").rglob("record.json"):
        record.unlink()
    inputs = evidence(results)
    assert {encoder_sizes.count_parameters(method, inputs) for method in inputs.methods} == {None}
