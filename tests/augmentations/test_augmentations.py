"""Augmentations: what they draw, for whom, and that nothing else decides."""

from __future__ import annotations

import pytest
import torch

from tests.effects.signals import RATE, level, tones, white
from workflow_scripts.augmentations import clmr
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry

EFFECTS = ["delay", "frequency_filter", "gain", "noise", "pitch", "polarity", "reverb"]
PRESETS = {f"clmr_{variant}": {"level": "clmr", "variant": variant} for variant in ("thesis", "repository")}
SHORT = 8000  # samples, where the length does not matter


def augment(name, audio, *, seed=0, rate=RATE, **options):
    given = {"level": name, **PRESETS.get(name, {}), **options}
    module = registry.load("augmentation", given.pop("level"))
    augmentation = module.build(registry.options(module, given), sample_rate=rate)
    return augmentation(audio, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", [*EFFECTS, *PRESETS])
def test_an_augmentation_is_decided_by_its_generator_alone(name):
    audio = white(12, samples=SHORT)
    kept = audio.clone()
    first = augment(name, audio, seed=3)
    torch.manual_seed(99)
    assert torch.equal(first, augment(name, audio, seed=3))
    if name != "polarity":  # with probability 1 it is always the same
        assert not torch.equal(first, augment(name, audio, seed=4))
    assert torch.equal(audio, kept), "the clean audio is changed"
    assert first.shape == audio.shape
    assert not torch.equal(first, audio)


@pytest.mark.parametrize("name", [*EFFECTS, *PRESETS])
def test_an_example_is_treated_alike_in_whatever_company(name):
    audio = white(12, samples=SHORT)
    together = augment(name, audio, seed=3)
    torch.testing.assert_close(augment(name, audio[:5], seed=3), together[:5], rtol=0, atol=2e-4)
    others = torch.cat([audio[:5], torch.zeros(7, SHORT)])
    torch.testing.assert_close(augment(name, others, seed=3)[:5], together[:5], rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", [*EFFECTS, *PRESETS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_silence_is_no_problem_in_any_type(name, dtype):
    audio = torch.stack([torch.zeros(SHORT), white(1, samples=SHORT)[0]]).to(dtype)
    output = augment(name, audio)
    assert output.dtype == dtype
    assert output.isfinite().all()
    assert not output[0].any()


@pytest.mark.parametrize("name", EFFECTS)
def test_the_probability_is_the_share_of_changed_examples(name):
    audio, rate = white(400, samples=600), 1000 if name == "delay" else RATE
    for probability, least, most in [(0.0, 0, 0), (0.3, 90, 150), (1.0, 390, 400)]:  # 120 +- 3 deviations
        changed = (augment(name, audio, rate=rate, probability=probability) != audio).any(dim=1)
        assert least <= int(changed.sum()) <= most, probability


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 22050])
@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_work_at_every_rate(name, rate):
    output = augment(name, white(4, samples=2 * rate), rate=rate)
    assert output.isfinite().all()
    assert output.abs().max() < 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", PRESETS)
def test_a_gpu_changes_examples_as_a_cpu_does(name):
    audio = white(24)
    there = augment(name, audio.cuda(), noise=0.0)  # another device draws another noise
    torch.testing.assert_close(there.cpu(), augment(name, audio, noise=0.0), rtol=0, atol=1e-3)


#: effects whose official code cuts samples off at -1 and 1: `Vol` of torchaudio, and SoX's samples, which are integers
CUTTING = ("gain", "pitch", "reverb")


@pytest.mark.parametrize("name", CUTTING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_effects_cut_off_what_the_official_ones_do(name, dtype):
    output = augment(name, (20 * white(6, samples=SHORT)).to(dtype))  # deviation 2: most samples are beyond 1
    assert output.abs().max() == 1
    assert (output.abs() == 1).float().mean() > 0.1, "samples are cut off, not scaled"
    assert output.dtype == dtype


@pytest.mark.parametrize("name", sorted(set(EFFECTS) - {*CUTTING}))
def test_effects_leave_loud_samples_where_the_official_ones_do(name):
    assert augment(name, 20 * white(6, samples=SHORT)).abs().max() > 4


@pytest.mark.parametrize("name", CUTTING)
def test_what_an_effect_makes_too_loud_is_cut_off(name):
    """Full scale, but not beyond it: transposed and reverberant waves overshoot; a gain above 0 dB does, too."""
    square = tones([250.0], samples=SHORT).sign().repeat(6, 1)
    louder = {"lowest": 3.0, "highest": 6.0} if name == "gain" else {}
    assert augment(name, square, **louder).abs().max() == 1


def test_a_crop_is_unchanged():
    audio = white(2)
    assert augment("crop", audio) is audio


def gains(**options) -> torch.Tensor:
    audio = white(300, samples=500)
    return 20 * (augment("gain", audio, **options).std(dim=1) / audio.std(dim=1)).log10()


def test_gains_fill_their_range():
    output = gains()
    assert -6 <= float(output.min()) < -5.9
    assert -0.1 < float(output.max()) < 0.001
    output = gains(lowest=-20.0, highest=-1.0)
    assert -20.001 < float(output.min()) < -19.5
    assert -1.5 < float(output.max()) < -0.999


def echoes(audio: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Delay in ms of each example's echo, and the echo's height."""
    after = audio[:, 1:].abs()
    return sorted(set((1000 * (1 + after.argmax(1)) / RATE).round().int().tolist())), after.amax(dim=1)


def test_delays_are_the_thesis_s_or_the_code_s():
    clicks = torch.zeros(200, 12000)
    clicks[:, 0] = 1
    output = augment("delay", clicks)
    delays, heights = echoes(output)
    assert delays == [200, 250, 300, 350, 400, 450, 500]
    assert heights.unique().tolist() == [0.5]
    assert output[:, 0].unique().tolist() == [1.0]
    only = dict.fromkeys(("polarity", "noise", "gain", "filter", "pitch", "reverb"), 0.0)
    output = augment("clmr_repository", clicks, delay=1.0, **only)
    delays, heights = echoes(output)
    assert delays == [200, 250, 300, 350, 400, 450]
    assert heights.unique().tolist() == [0.25]
    assert output[:, 0].unique().tolist() == [0.5]


def test_half_of_the_filters_are_low_passes_and_cutoffs_are_in_range():
    audio = white(200, samples=4096)
    output = augment("frequency_filter", audio)
    change = [
        level(output, low=low, high=high) - level(audio, low=low, high=high) for low, high in ((0, 95), (6100, 11000))
    ]
    high_passes, low_passes = (lost < -12 for lost in change)
    assert bool((high_passes ^ low_passes).all())
    assert 70 < int(high_passes.sum()) < 130
    middle = level(output, low=1810, high=2000) - level(audio, low=1810, high=2000)
    assert bool((middle.abs() < 2).all()), "nothing is cut off between the two ranges"


def test_intervals_reach_a_fifth_in_both_directions():
    audio = tones([500.0], samples=8000).repeat(60, 1)
    spectrum = torch.fft.rfft(augment("pitch", audio) * torch.hann_window(8000)).abs()
    hertz = spectrum.argmax(dim=1) * RATE / 8000
    cents = 1200 * (hertz / 500).log2()
    assert -712 < float(cents.min()) < -600
    assert 600 < float(cents.max()) < 712
    assert float((cents.abs() < 350).float().mean()) == pytest.approx(0.5, abs=0.2)


def test_noise_is_80_to_40_db_down():
    audio = white(200, samples=4000)
    ratios = (augment("noise", audio) - audio).std(dim=1) / audio.std(dim=1)
    assert 0.00009 < float(ratios.min()) < 0.0006
    assert 0.0094 < float(ratios.max()) < 0.0105


def test_the_presets_are_the_published_ones():
    thesis, repository = (
        {effect: given["probability"] for effect, given in clmr.effect_options(clmr.Options(variant=variant)).items()}
        for variant in ("thesis", "repository")
    )
    assert not clmr.Options().one_sided
    assert clmr.Options().variant == "thesis"
    both = {"polarity": 0.8, "noise": 0.01, "gain": 0.3, "filter": 0.8}
    assert thesis == both | {"delay": 0.4, "pitch": 0.4, "reverb": 0.4}
    assert repository == both | {"delay": 0.3, "pitch": 0.6, "reverb": 0.6}
    only = {effect: 0.0 for effect in thesis if effect != "gain"} | {"gain": 1.0}
    audio = white(100, samples=500)
    for name, lowest, highest in (("clmr_thesis", -6, 0), ("clmr_repository", -20, -1)):
        output = 20 * (augment(name, audio, **only).std(dim=1) / audio.std(dim=1)).log10()
        assert lowest - 0.001 < float(output.min()) < lowest + 1.5
        assert highest - 1.5 < float(output.max()) < highest + 0.001


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gain", {"lowest": 1.0}, "gain: a range must go upwards, not from 1.0 to 0.0"),
        ("noise", {"least": -1.0}, "noise: least: -1.0 is not allowed; allowed: at least 0"),
        ("noise", {"least": 0.1}, "noise: a range must go upwards"),
        ("pitch", {"highest": -800}, "pitch: a range must go upwards"),
        ("delay", {"step": 0}, "delay: step: 0 is not allowed; allowed: at least 1"),
        ("delay", {"longest": 100}, "delay: a range must go upwards"),
        ("frequency_filter", {"low_pass": [2200, 9000]}, "at most 8000 Hz, half the encoder's sample rate"),
        ("reverb", {"highest": 101}, "reverb: highest: 101 is not allowed; allowed: at most 100"),
        ("polarity", {"probability": 1.1}, "polarity: probability: 1.1 is not allowed; allowed: at most 1"),
        ("clmr_thesis", {"pitch": -0.1}, "clmr: pitch: -0.1 is not allowed; allowed: at least 0"),
    ],
)
def test_impossible_options_are_refused(name, options, words):
    with pytest.raises(UserError, match=words):
        augment(name, white(1, samples=100), rate=16000, **options)
