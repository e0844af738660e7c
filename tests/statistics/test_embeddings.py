import json
from pathlib import Path

import numpy as np
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell, read_manifest
from workflow_scripts.statistics.embeddings import find_corpus, read_embeddings


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return synthetic_studies.frozen_encoders(tmp_path)


def first_cell(results: Results) -> PlannedCell:
    return read_manifest(results.manifest_file()).cells[0]


def test_the_corpus_is_that_of_the_evaluated_data_set(results: Results) -> None:
    evaluation = first_cell(results)
    corpus = find_corpus(evaluation)
    assert corpus is not None
    assert (corpus.facts.dataset, len(corpus), corpus.labels.shape) == ("openmic", 50, (50, 50))


def test_before_the_jobs_have_run_there_are_no_artifacts(results: Results) -> None:
    evaluation = first_cell(results)
    assert read_embeddings(evaluation) is None
    next((results.folder / "corpora").rglob("corpus.json")).unlink()
    assert find_corpus(evaluation) is None


@pytest.mark.parametrize(
    ("crop_length", "crops"), [(None, 1), (figure_asserts.CROP, 10), (100 * figure_asserts.RATE, 1)]
)
def test_test_clips_have_their_crops(results: Results, crop_length: int | None, crops: int) -> None:
    figure_asserts.write_embeddings(results)
    (record,) = (results.folder / "embeddings").rglob("*/cpc/**/openmic.json")
    vectors = np.arange(50 * crops, dtype=np.float32)[:, None]  # each is its own number
    np.save(record.with_suffix(".npy"), vectors)
    record.write_text(json.dumps({"data": {"openmic": "digest"}, "crop_length": crop_length}))
    embeddings = read_embeddings(first_cell(results))
    assert embeddings is not None
    tested = embeddings.corpus.rows("test")
    np.testing.assert_array_equal(embeddings.clips, np.repeat(tested, crops))
    np.testing.assert_array_equal(embeddings.vectors[:, 0] // crops, embeddings.clips)
    means, rows = embeddings.of_clips
    np.testing.assert_array_equal(rows, tested)
    np.testing.assert_allclose(means[:, 0], tested * crops + (crops - 1) / 2)


def test_embeddings_without_their_record_are_refused(results: Results) -> None:
    figure_asserts.write_embeddings(results)
    cell = first_cell(results)
    for record in (results.folder / "embeddings").rglob("*.json"):
        record.unlink()
    with pytest.raises(UserError, match=r"openmic\.json is missing: delete"):
        read_embeddings(cell)


def test_embeddings_of_fewer_crops_are_refused(results: Results) -> None:
    figure_asserts.write_embeddings(results)
    for path in (results.folder / "embeddings").rglob("*.npy"):
        np.save(path, np.zeros((49, 2), np.float32))
    with pytest.raises(UserError, match="is stale: 49 embeddings for 50 crops; run embed again"):
        read_embeddings(first_cell(results))
