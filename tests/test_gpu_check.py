"""The check of a GPU runs to its end on a CPU, says that nothing is judged, and names what is below its target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu_check
from tests.benchmarks.gpu_check import Check, Measurement
from workflow_scripts.levels import registry


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures the GPU")
def test_without_a_gpu_it_shows_what_would_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results" / "gpu_check.json"
    gpu_check.main(["--output", str(output)])
    text, content = capsys.readouterr().out, json.loads(output.read_text())
    assert "No GPU here: this shows what would be measured" in text
    assert content["rehearsal"]
    measurements = {row["what"]: row for row in content["measurements"]}
    assert not any(row["verdict"] for row in measurements.values()), measurements
    own = [name for name in registry.names("encoder") if not registry.fact(registry.load("encoder", name), "EXTERNAL")]
    assert all(measurements[f"frames of {name} against the CPU"]["value"] == 0 for name in own)
    assert measurements["weights of a resumed run"]["value"] == 0
    assert measurements["training, bf16, compiled"]["value"] is None
    assert measurements["training on two GPUs, float32"]["note"] == "0 GPU here"


def test_what_misses_its_target_or_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(check: Check) -> Iterator[Measurement]:
        yield Measurement(what="fast", value=4.0, target=3.0)
        yield Measurement(what="slow", value=2.0, target=3.0)
        yield Measurement(what="waiting", value=0.5, target=0.05, highest=True)
        raise ValueError("no driver")

    monkeypatch.setattr(gpu_check, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(gpu_check, "device_name", lambda _: "cuda: NVIDIA H200")
    monkeypatch.setattr(gpu_check, "PARTS", {"speed": measure})
    gpu_check.main(["--output", str(tmp_path / "check.json")])
    text = capsys.readouterr().out
    assert "below target: slow; waiting" in text
    assert "failed: speed" in text
    assert "ValueError: no driver" in text
