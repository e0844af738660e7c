import json
import os

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.records import seal
from workflow_scripts import embed
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase
from workflow_scripts.evaluation.embedding import embed_clips, group_by_length

SMALL = {"embedding": 16, "width": 0.1}
LENGTHS = [0.5, 0.61, 0.5, 0.61, 0.5, 0.02, 0.7, 0.5]


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "tones", clips=len(LENGTHS), seconds=LENGTHS)


def run(corpus, output, *, name="pase", seed=3, options=SMALL, more=()):
    config = {"encoder": {"name": name, "options": options}, "seed": seed, "dataset": "tones"}
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    embed.main([*flags, "--output", str(output), *more])
    return np.load(output)


def small_pase(seed=3):
    torch.manual_seed(seed)
    return pase.build(pase.Options(**SMALL)).eval()


def test_each_clip_gets_the_embedding_it_has_alone_in_clip_order(corpus, tmp_path):
    embeddings = run(corpus, tmp_path / "out" / "tones.npy")
    encoder = small_pase()
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (len(LENGTHS), 16)
    for row, seconds in enumerate(LENGTHS):
        audio = corpus.cut(row) if seconds >= 0.5 else np.resize(corpus.cut(row), 8000)
        with torch.no_grad():
            alone = encoder.pool(encoder(torch.from_numpy(audio)[None]))[0]
        np.testing.assert_allclose(embeddings[row], alone, atol=1e-5)


def test_the_embedding_does_not_depend_on_its_company(corpus):
    encoder, rows, cpu = small_pase(), np.arange(len(LENGTHS)), torch.device("cpu")
    together = embed_clips(encoder, corpus, rows, device=cpu)
    apart = embed_clips(encoder, corpus, rows, device=cpu, max_samples=1)
    backwards = embed_clips(encoder, corpus, rows[::-1], device=cpu, max_samples=20000)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, backwards.flip(0), atol=1e-5, rtol=0)


def test_batches_hold_equal_lengths_every_row_once_and_no_more_samples_than_allowed(corpus):
    rows = np.arange(len(LENGTHS))
    batches = group_by_length(corpus, rows, max_samples=16000)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    used = np.maximum(corpus.lengths, 8000)
    assert all(len(set(used[batch])) == 1 for batch in batches)
    assert all(used[batch].sum() <= 16000 for batch in batches)


def test_the_record_names_the_data_and_the_seed_makes_the_encoder(corpus, tmp_path):
    first, again, other = (run(corpus, tmp_path / f"{n}.npy", seed=seed) for n, seed in enumerate((3, 3, 4)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    record = json.loads((tmp_path / "0.json").read_text())
    assert record["data"] == {"tones": corpus.facts.digest}
    assert (record["code"], record["config"]["seed"], record["clips"], record["size"]) == ("c0de", 3, 8, 16)
    assert record["encoder_file"] is None


def test_an_encoder_file_brings_the_weights(corpus, tmp_path):
    encoder_file = tmp_path / "encoder.safetensors"
    save_encoder(encoder_file, small_pase(seed=11), name="pase", options=pase.Options(**SMALL), code="c0de")
    seal(encoder_file)
    expected = run(corpus, tmp_path / "drawn.npy", seed=11)
    loaded = run(corpus, tmp_path / "loaded.npy", seed=0, more=["--encoder-file", str(encoder_file)])
    assert np.array_equal(expected, loaded)
    assert len(json.loads((tmp_path / "loaded.json").read_text())["encoder_file"]) == 64
    with pytest.raises(UserError, match="pre-train again"):
        run(corpus, tmp_path / "x.npy", options=SMALL | {"embedding": 8}, more=["--encoder-file", str(encoder_file)])
    assert not (tmp_path / "x.npy").exists()


def test_another_sample_rate_is_refused(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=5, seconds=0.5, sample_rate=8000)
    with pytest.raises(UserError, match="is at 8000 Hz and the encoder reads 16000 Hz: prepare tones at 16000 Hz"):
        run(corpus, tmp_path / "out.npy")


def test_nothing_half_written_stays(corpus, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="space"):
        run(corpus, tmp_path / "out" / "tones.npy")
    assert list((tmp_path / "out").iterdir()) == []
