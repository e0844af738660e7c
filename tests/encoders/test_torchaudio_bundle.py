"""An architecture of torchaudio with a file of its weights is an encoder, frozen and fine-tuned."""

from __future__ import annotations

import pytest
import torch
import torchaudio

from tests.corpora import write_corpus
from tests.encoders import external
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import torchaudio_bundle as level


def test_it_runs_frozen_and_fine_tuned(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.6)
    options = external.write_bundle(tmp_path)
    trials = external.run_commands("torchaudio_bundle", options, corpus, tmp_path, scenarios=("frozen", "fine_tuned"))
    assert all(table["value"].notna().all() for table in trials.values())


@pytest.mark.parametrize("mode", ["layer_norm", "group_norm"])
def test_audio_is_normalised_as_the_bundles_of_torchaudio_do_it(mode, tmp_path):
    arguments = external.BUNDLE | {"extractor_mode": mode}
    network = torchaudio.models.wav2vec2_model(**arguments)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    options = level.Options(path=str(tmp_path / "weights.pth"), architecture="wav2vec2_model", arguments=arguments)
    bundle = torchaudio.pipelines.Wav2Vec2Bundle("", arguments, 16000, mode == "layer_norm", "Wav2Vec2")
    bundle._get_state_dict = lambda options: network.state_dict()
    audio = torch.randn(1, 16000) + 1
    expected = bundle.get_model().extract_features(audio)[0][-1].mean(1)
    torch.testing.assert_close(level.build(options)(audio)[..., 0], expected)


MISTAKES = {
    "another architecture": ({"architecture": "wav2vec2_base", "arguments": {}}, "cannot be imported as wav2vec2_base"),
    "wrong arguments": ({"arguments": {"layers": 3}}, "wav2vec2_model cannot be used as an encoder: TypeError"),
    "windows of more than a second": (
        {"arguments": external.BUNDLE | {"extractor_conv_layer_config": [[8, 20000, 20]]}},
        "wav2vec2_model cannot be used as an encoder: RuntimeError",
    ),
    "no file": ({"path": "absent.pth"}, "absent.pth cannot be read: there is no such file"),
    "another rate": ({"sample_rate": 22050}, "the network reads 16000 Hz"),
    "no such layer": ({"layer": 0}, "the network has no layer 0: choose one of 1 to 2, or weighted"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path):
    more, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        level.build(level.Options(**external.write_bundle(tmp_path) | more))
