"""Many jobs at once. `python -m tests.cluster.scale` does the same with 1,000 and the profile's own waiting."""

from __future__ import annotations

import pytest

from tests.cluster import scale

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

JOBS = 20  # as many as take about half a minute


def test_of_many_jobs_with_faults_none_is_lost_and_none_is_done_twice(tmp_path):
    account = scale.run(scale.prepare(tmp_path / "mock", jobs=JOBS, hurry=True), seconds=400)
    print(account)
    assert account.unlucky == 2
    assert account.attempts == JOBS + account.unlucky, "an attempt for each job, and one more for the unlucky"
    assert (account.lost, account.twice, account.differing) == (0, 0, 0)
    assert account.questions["REQUEST_SUBMIT_BATCH_JOB"] == account.attempts
    # a question a round whatever the number of jobs, and one more each second at most
    assert account.questions["REQUEST_JOB_INFO"] <= account.seconds + 10
