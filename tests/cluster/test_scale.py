"""Many jobs at once; `python -m tests.cluster.scale` does the same with 1,000 jobs, polled as in the profile."""

from __future__ import annotations

import pytest

from tests.cluster import scale

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

JOBS = 20  # about half a minute


def test_no_job_of_many_with_faults_in_arrays_is_lost_or_done_twice(tmp_path):
    report = scale.run(scale.prepare(tmp_path / "mock", jobs=JOBS, fast_polling=True, arrays=True), seconds=400)
    print(report)
    assert report.with_fault == 2
    assert report.attempts == JOBS + report.with_fault, "an attempt for each job, and one more after each fault"
    assert (report.lost, report.finished_twice, report.differing) == (0, 0, 0)
    # an array, perhaps in two parts on a busy machine, and what failed in it
    assert report.requests["REQUEST_SUBMIT_BATCH_JOB"] <= 2 + report.with_fault
    # one request per round whatever the number of jobs, and at most one more each second
    assert report.requests["REQUEST_JOB_INFO"] <= report.seconds + 10
