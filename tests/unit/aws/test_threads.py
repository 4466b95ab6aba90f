"""Receivers are told side by side: the slowest alone is waited for, and one that fails stops no other."""

from __future__ import annotations

import threading

import pytest

from sagewatch.aws.threads import side_by_side


def test_pieces_that_wait_for_each_other_all_end():
    meeting = threading.Barrier(3, timeout=10)
    assert side_by_side([lambda n=n: (meeting.wait(), n)[1] for n in range(3)]) == [0, 1, 2]


def test_an_error_is_raised_after_all_others_are_done():
    done = []

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        side_by_side([fail, lambda: done.append(1), lambda: done.append(2)])
    assert sorted(done) == [1, 2]
