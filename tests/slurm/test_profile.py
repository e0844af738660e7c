"""The profile of a SLURM cluster."""

from __future__ import annotations

import yaml

from tests.checkout import REPOSITORY

LONGEST = 2880  # minutes: what many partitions allow


def test_no_attempt_asks_for_more_than_a_partition_allows() -> None:
    profile = yaml.safe_load((REPOSITORY / "config/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    expressions = [
        str(resources[name])
        for resources in (profile["default-resources"], *profile["set-resources"].values())
        for name in ("runtime", "mem_mb")
        if name in resources
    ]
    assert len(expressions) == 7
    for attempt in range(1, profile["retries"] + 2):
        for expression in expressions:
            most = LONGEST if str(LONGEST) in expression else 64000
            assert 0 < eval(expression, {"attempt": attempt, "min": min}) <= most, expression
    assert eval(profile["set-resources"]["pretrain"]["runtime"], {"attempt": 4, "min": min}) == LONGEST
