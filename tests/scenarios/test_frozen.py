import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.scenarios.cells import cell, informative, shuffle_labels
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.frozen import moments_of, standardise
from workflow_scripts.scenarios import frozen
from workflow_scripts.statistics.metrics import metrics

FAST = {"learning_rate": 0.05, "batch": 16, "max_epochs": 60}


@pytest.fixture(params=["multiclass", "multilabel"])
def corpus(request, tmp_path):
    return write_corpus(tmp_path / "tones", clips=150, seconds=0.05, classes=3, task=request.param)


def macro_f1(corpus, results):
    labels = corpus.labels[corpus.rows("test")]
    return [metrics(corpus.facts.task, labels=labels, scores=result.scores)["macro_f1"] for result in results]


def test_informative_embeddings_are_learned_and_shuffled_labels_are_not(corpus, tmp_path):
    embeddings = informative(corpus)
    learned = frozen.run(cell(corpus, folder=tmp_path, embeddings=embeddings, **FAST))
    assert min(macro_f1(corpus, learned)) > 0.85
    labels = shuffle_labels(corpus)
    chance = frozen.run(cell(labels, folder=tmp_path, embeddings=embeddings, **FAST))
    assert np.mean(macro_f1(labels, chance)) < 0.65


def test_results_carry_what_each_trial_took(corpus, tmp_path):
    results = frozen.run(cell(corpus, folder=tmp_path, embeddings=informative(corpus), fraction=0.2, **FAST))
    assert [result.trial for result in results] == [0, 1, 2]
    for result in results:
        assert result.train_clips == 18
        assert result.scores.shape == (30, 3)
        assert result.scores.dtype == np.float32
        assert 0 <= result.scores.min() <= result.scores.max() <= 1
        assert 1 <= result.epochs <= 60


def test_the_number_of_trials_changes_no_trial(corpus, tmp_path):
    embeddings = informative(corpus)
    few, many = (
        frozen.run(cell(corpus, folder=tmp_path, embeddings=embeddings, trials=trials, **FAST)) for trials in (2, 5)
    )
    for one, other in zip(few, many, strict=False):
        assert np.array_equal(one.scores, other.scores)


def test_standardisation_makes_the_scale_of_channels_irrelevant(corpus, tmp_path):
    embeddings = informative(corpus)
    scales = np.float32(10.0) ** np.arange(-4, 4)
    plain, scaled = (
        frozen.run(cell(corpus, folder=tmp_path, embeddings=inputs, trials=1, **FAST))[0].scores
        for inputs in (embeddings, embeddings * scales + 5 * scales)
    )
    np.testing.assert_allclose(plain, scaled, atol=1e-3)


def test_standardised_uses_the_given_rows_and_survives_constant_channels():
    embeddings = np.random.default_rng(0).normal(1000, 0.1, (50, 3)).astype(np.float32)
    embeddings[:, 1] = 7.7
    mean, std = moments_of(embeddings[:20])
    values = standardise(embeddings, mean=mean, std=std)
    np.testing.assert_allclose(values[:20, [0, 2]].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(values[:20, [0, 2]].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(values[:, 1], 0, atol=1e-5)


def test_embeddings_that_are_not_finite_are_named(corpus, tmp_path):
    embeddings = informative(corpus)
    embeddings[7, 2] = np.inf
    with pytest.raises(UserError, match=r"1 clips are not finite \(first: row 7\)"):
        frozen.run(cell(corpus, folder=tmp_path, embeddings=embeddings))


def test_a_corpus_without_a_split_is_refused(corpus, tmp_path):
    corpus.clips.loc[corpus.clips["split"] == "valid", "split"] = "train"
    with pytest.raises(UserError, match="no clips in its valid split"):
        frozen.run(cell(corpus, folder=tmp_path, embeddings=informative(corpus)))
