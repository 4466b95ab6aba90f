"""Recordings of a hub: what came from other accounts stays apart from what is home's."""

from __future__ import annotations

from sagewatch.replay.load import build_scene
from sagewatch.replay.redaction import ACCOUNT, ELSEWHERE, redact


def build(account, region, source="aws.s3"):
    return {"source": source, "account": account, "region": region, "detail": {"arn": f"arn:aws:x:{account}"}}


def test_home_is_where_most_events_come_from():
    events = [build("222222222222", "eu-west-1")] * 2 + [build("333333333333", "us-east-1")]
    scene = build_scene(events, "capture")
    assert (scene.account, scene.region) == ("222222222222", "eu-west-1")


def test_home_is_where_the_own_facts_come_from_however_few():
    events = [build("222222222222", "eu-west-1")] * 9 + [build("333333333333", "us-east-1", "sagewatch")]
    scene = build_scene(events, "capture")
    assert (scene.account, scene.region) == ("333333333333", "us-east-1")


def test_events_without_a_place_leave_the_scene_as_it_is():
    assert build_scene([{"source": "aws.s3", "detail": {}}], "capture").account == "123456789012"


def test_who_pressed_a_button_is_not_in_a_recording():
    asked = {"action": "resolve", "incident_id": "i", "by": "ada.lovelace (Slack U024BE7LH)"}
    event = {**build("222222222222", "eu-west-1", "sagewatch"), "detail": asked}
    assert redact(event, "222222222222")["detail"] == {**asked, "by": "redacted"}


def test_redacted_events_of_another_account_stay_told_apart():
    ours = redact(build("222222222222", "eu-west-1"), "222222222222")
    theirs = redact(
        {**build("333333333333", "us-east-1"), "resources": ["arn:aws:x:222222222222"]}, "222222222222"
    )
    assert ours["account"] == ACCOUNT
    assert (theirs["account"], theirs["detail"]["arn"]) == (ELSEWHERE, f"arn:aws:x:{ELSEWHERE}")
    assert theirs["resources"] == [f"arn:aws:x:{ACCOUNT}"]
