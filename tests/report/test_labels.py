from tests.report.aggregated_study import use_default_labels
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.report import labels


def test_a_selection_names_scenario_and_encoder_first() -> None:
    use_default_labels()
    frozen = {"encoder": "pase", "scenario": "frozen"}
    assert labels.selection(frozen) == "frozen PASE"
    assert labels.selection({"encoder": "random", "scenario": "frozen"}, apart_from=frozen) == "random weights"
    scratch = {"encoder": "pase", "scenario": "supervised"}
    assert labels.selection(scratch, apart_from=frozen) == "supervised PASE"
    assert labels.selection({"workers": "WLP"}) == "workers WLP"
    assert labels.selection(frozen, apart_from=frozen) == "frozen PASE"
    assert labels.selection({"corpus": "msd", "scenario": "frozen"}) == "frozen encoder of Million Song Dataset"
    assert labels.selection({"corpus": "msd"}) == "encoder of Million Song Dataset"
    assert labels.selection(frozen | {"corpus": "msd"}, apart_from=frozen) == "corpus Million Song Dataset"


def test_a_level_without_a_label_is_shown_under_its_name() -> None:
    assert labels.name("my_own_set") == "my own set"


def test_fractions_of_the_labels_are_percentages() -> None:
    assert [labels.name(level) for level in ("100pct", "12.5pct_own_rule")] == ["100 %", "12.5 % (own rule)"]


def test_factors_have_labels_without_a_manifest() -> None:
    assert labels.name("pretrain_seed") == "pre-training seed"


def test_labels_are_those_of_the_latest_manifest() -> None:
    use_default_labels()
    assert labels.name("fma_small") == "FMA small"
    own = {"dataset": {"own": "My recordings"}}
    labels.use_labels_of(Manifest(scale="demo", cells=(), studies=(), labels=own))
    assert [labels.name(level) for level in ("own", "fma_small")] == ["My recordings", "fma small"]
