"""M of N and hysteresis: a single bad period wakes nobody, a single good one calls nobody off."""

from __future__ import annotations

MONITORS = """
version: 1
endpoints:
  signs:
    quality: {{baseline: "s3://captures/baseline", open_after: "{open_after}", clear_after: {clear_after}}}
receivers:
  on-call: {{slack: {{channel: "#ml", token: "secret:sagewatch/slack"}}, mail: {{}}}}
"""


def two_of_three(tell, clear_after=2):
    return tell(MONITORS.format(open_after="2 of 3", clear_after=clear_after))


def test_without_patience_the_first_bad_run_is_told(tell):
    story = tell(MONITORS.format(open_after="1 of 1", clear_after=1))
    story.at("1h").looks("hourly", violations=2)
    story.at("2h").looks("hourly", violations=0)
    story.expect_all("firing", "1h")
    story.expect_all("resolved", "2h")
    story.ends("3h")


def test_one_bad_run_of_three_wakes_nobody(tell):
    story = two_of_three(tell)
    for hour, violations in enumerate((0, 2, 0, 0, 2, 0)):
        story.at(f"{hour}h").looks("hourly", violations=violations)
    story.ends("8h")


def test_the_second_bad_run_of_three_is_told_once(tell):
    story = two_of_three(tell)
    for hour, violations in enumerate((2, 0, 2)):
        story.at(f"{hour}h").looks("hourly", violations=violations)
    story.expect_all("firing", "2h")
    story.ends("5h")


def test_a_run_whose_event_comes_three_times_counts_as_one_bad_run(tell):
    story = two_of_three(tell)
    story.at("1h").looks("hourly", violations=2, times=3)
    story.ends("3h")


def test_one_good_run_calls_nobody_off_and_two_do(tell):
    story = two_of_three(tell)
    for hour, violations in enumerate((2, 2, 0, 2, 0, 0)):
        story.at(f"{20 * hour}m").looks("hourly", violations=violations)
    story.expect_all("firing", "20m")
    story.expect_all("resolved", "100m")
    story.ends("3h")


def test_what_was_over_must_be_bad_as_often_as_the_first_time(tell):
    story = two_of_three(tell, clear_after=1)
    for hour, violations in enumerate((2, 2, 0, 2, 0, 0)):
        story.at(f"{hour}h").looks("hourly", violations=violations)
    story.expect_all("firing", "1h")
    story.expect_all("resolved", "2h")
    story.ends("8h")
