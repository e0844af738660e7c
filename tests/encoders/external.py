"""Small networks for encoders whose network is not part of Prelude."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
import torchaudio

from tests.checkout import REPOSITORY
from workflow_scripts import embed, evaluate, import_checkpoint
from workflow_scripts.audio.corpus import Corpus

#: the example of a class in a file; the keys are what a test may change
CLASS = (
    (REPOSITORY / "config" / "examples" / "tiny_encoder.py")
    .read_text(encoding="utf-8")
    .replace("sampling_rate = 16000", "sampling_rate = {rate}")
    .replace("output_dim = 64", "output_dim = {size}")
)


def write_module(folder: Path, *, text: str = CLASS, rate: int = 16000, size: int = 64) -> dict[str, object]:
    """Write a class into a file; return the options of the level `module`."""
    file = folder / "tiny_encoder.py"
    file.write_text(text.format(rate=rate, size=size), encoding="utf-8")
    return {"path": str(file)}


#: a module with the HEAR API; `{detach}` stands behind the embeddings
HEAR = """
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    scene_embedding_size = 8
    timestamp_embedding_size = 8

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv1d(1, 8, 320, stride=160)

def load_model(model_file_path=""):
    torch.manual_seed(0)
    model = Model()
    if model_file_path:
        model.load_state_dict(torch.load(model_file_path))
    return model

def get_scene_embeddings(audio, model):
    return model.convolution(audio[:, None]).amax(-1){detach}
"""


def write_hear(folder: Path, *, detach: str = "") -> dict[str, object]:
    """Write a module with the HEAR API; return the options of the level `hear`."""
    (folder / "tiny_hear.py").write_text(HEAR.replace("{detach}", detach), encoding="utf-8")
    return {"module": "tiny_hear", "folder": str(folder)}


TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
CONVOLUTIONS = {"conv_dim": (8, 8), "conv_stride": (20, 16), "conv_kernel": (20, 16), "num_feat_extract_layers": 2}
WAV2VEC2 = TINY | CONVOLUTIONS | {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
WHISPER = {
    **{"d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_source_positions": 50, "num_mel_bins": 16},
    **{"vocab_size": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
}
CLAP = {
    "audio_config": {
        **{"depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 32, "patch_embeds_hidden_size": 16},
        **{"spec_size": 64, "num_mel_bins": 16, "window_size": 4, "num_hidden_layers": 2},
    },
    "text_config": TINY | {"vocab_size": 8},
}


def write_transformers(folder: Path, family: str = "wav2vec2") -> dict[str, object]:
    """Write a random model of a family of Hugging Face; return the options of the level `transformers`."""
    import transformers  # takes seconds

    torch.manual_seed(0)
    bands = {"feature_size": 16, "sampling_rate": 16000}
    config, network, extractor, seconds = {
        "wav2vec2": (transformers.Wav2Vec2Config(**WAV2VEC2), transformers.Wav2Vec2Model, {}, None),
        "hubert": (transformers.HubertConfig(**WAV2VEC2), transformers.HubertModel, {}, None),
        "ast": (
            transformers.ASTConfig(**TINY, max_length=50, num_mel_bins=32),
            transformers.ASTModel,
            {"max_length": 50, "num_mel_bins": 32},
            0.5,
        ),
        "whisper": (
            transformers.WhisperConfig(**WHISPER),
            transformers.WhisperModel,
            {"chunk_length": 1, **bands},
            1.0,
        ),
        "clap": (
            transformers.ClapConfig(**CLAP),
            transformers.ClapModel,
            {"max_length_s": 1, "truncation": "rand_trunc", "fft_window_size": 512, "hop_length": 160, **bands},
            1.0,
        ),
    }[family]
    extractors = {
        "ast": transformers.ASTFeatureExtractor,
        "whisper": transformers.WhisperFeatureExtractor,
        "clap": transformers.ClapFeatureExtractor,
    }
    network(config).save_pretrained(folder / family)
    extractors.get(family, transformers.Wav2Vec2FeatureExtractor)(**extractor).save_pretrained(folder / family)
    return {"path": str(folder / family), "seconds": seconds}


BUNDLE = {
    **{"extractor_mode": "layer_norm", "extractor_conv_layer_config": [[8, 20, 20], [8, 16, 16]]},
    **{"extractor_conv_bias": False, "encoder_embed_dim": 16, "encoder_projection_dropout": 0.0},
    **{"encoder_pos_conv_kernel": 8, "encoder_pos_conv_groups": 2, "encoder_num_layers": 2, "encoder_num_heads": 2},
    **{"encoder_attention_dropout": 0.0, "encoder_ff_interm_features": 16, "encoder_ff_interm_dropout": 0.0},
    **{"encoder_dropout": 0.0, "encoder_layer_norm_first": False, "encoder_layer_drop": 0.0, "aux_num_out": None},
}


def write_bundle(folder: Path) -> dict[str, object]:
    """Write weights of a tiny wav2vec 2.0 of torchaudio; return the options of the level `torchaudio_bundle`."""
    torch.manual_seed(0)
    network = torchaudio.models.wav2vec2_model(**BUNDLE)
    # files of networks that recognise speech have this layer too
    torch.save({**network.state_dict(), "aux.weight": torch.zeros(3, 16)}, folder / "wav2vec2.pth")
    return {"path": str(folder / "wav2vec2.pth"), "architecture": "wav2vec2_model", "arguments": BUNDLE}


#: level of an external encoder -> what writes an example and returns its options
EXAMPLES: dict[str, Callable[[Path], dict[str, object]]] = {
    "module": write_module,
    "hear": write_hear,
    "transformers": write_transformers,
    "torchaudio_bundle": write_bundle,
}

FACTORS = {
    **{"corpus": "published", "workers": "none", "weighting": "none", "augmentation": "none", "recipe": "none"},
    **{"pretrain_seed": 0, "dataset": "tones", "fraction": "100pct", "protocol": "wu2021"},
}


def run_commands(
    name: str,
    options: dict[str, object],
    corpus: Corpus,
    folder: Path,
    *,
    scenarios: Sequence[str],
    head: dict[str, object] | None = None,
) -> dict[str, pd.DataFrame]:
    """Import an external encoder, embed a corpus with it, evaluate it; return the trials of each scenario."""
    head = head or {"name": "linear", "options": {}}
    encoder = {"name": name, "options": options}
    import_checkpoint.main(["--encoder", name, "--options", json.dumps(options), "--output", str(folder / "imported")])
    common = ["--code", "c0de", "--corpus", str(corpus.folder)]
    encoder_file = ["--encoder-file", str(folder / "imported" / "encoder.safetensors")]
    config = {"encoder": encoder, "seed": 0, "dataset": "tones"}
    embeddings = str(folder / "tones.npy")
    embed.main([*common, "--config", json.dumps(config), "--output", embeddings, *encoder_file])
    trials = {}
    for scenario in scenarios:
        job = {
            "encoder": encoder if scenario == "fine_tuned" else None,
            "head": head,
            "scenario": scenario,
            "fraction": "100pct",
            "trials": 1,
            "training": {"learning_rate": 0.001, "batch": 4, "max_epochs": 1},
            "factors": FACTORS | {"encoder": name, "head": head["name"], "scenario": scenario},
        }
        source = encoder_file if scenario == "fine_tuned" else ["--embeddings", embeddings]
        evaluate.main([*common, "--config", json.dumps(job), "--output", str(folder / scenario), *source])
        trials[scenario] = pd.read_csv(folder / scenario / "trials.csv")
    return trials
