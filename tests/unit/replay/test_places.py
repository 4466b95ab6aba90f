"""Recordings of a hub: what came from other accounts stays apart from what is home's."""

from __future__ import annotations

import json

import msgspec

from sagewatch.replay.load import build_player, build_scene, load_recording
from sagewatch.replay.outcome import compare, gather
from sagewatch.replay.recording import iterate_own
from sagewatch.replay.redaction import ACCOUNT, ELSEWHERE, find_stand_ins, hide_texts, redact, redact_scene
from sagewatch.replay.scene import SCENE_FILE, Scene
from tests.unit.replay.recordings import write_archive

HOME, SPOKES = "222222222222", ("333333333333", "555555555555")


def keep(*events, home=HOME):
    """The events as `record` keeps them."""
    stand_ins = find_stand_ins(Scene(account=home), events)
    return [redact(event, stand_ins) for event in events]


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
    assert keep(event)[0]["detail"] == {**asked, "by": "redacted"}


def test_what_a_job_said_and_was_called_with_is_in_no_recording():
    said = {
        "ProcessingJobName": "x",
        "ExitMessage": "row 5: customer_id=c-7",
        "FailureReason": "AlgorithmError: customer_id=c-7",
        "AppSpecification": {
            "ImageUri": "image",
            "ContainerEntrypoint": ["sh", "c-7"],
            "ContainerArguments": ["--token", "c-7"],
        },
        "ProcessingInputs": [{"FailureReason": "c-7"}, {"ExitMessage": None}],
    }
    event = {**build(HOME, "eu-west-1", "aws.sagemaker"), "detail": said}
    (redacted,), named = keep(event), hide_texts(event)
    assert redacted["detail"] == named["detail"]
    assert "c-7" not in json.dumps(named)
    assert (named["account"], named["detail"]["ProcessingJobName"]) == (HOME, "x")
    assert named["detail"]["AppSpecification"]["ImageUri"] == "image"
    assert named["detail"]["ProcessingInputs"][1] == {"ExitMessage": None}


def test_redacted_events_of_other_accounts_stay_told_apart_from_ours_and_from_each_other():
    from_home = {**build(SPOKES[0], "us-east-1"), "resources": [f"arn:aws:x:{HOME}"]}
    ours, theirs, others = keep(build(HOME, "eu-west-1"), from_home, build(SPOKES[1], "eu-west-1"))
    assert (ours["account"], ours["detail"]["arn"]) == (ACCOUNT, f"arn:aws:x:{ACCOUNT}")
    assert (theirs["account"], theirs["detail"]["arn"]) == (ELSEWHERE, f"arn:aws:x:{ELSEWHERE}")
    assert theirs["resources"] == [f"arn:aws:x:{ACCOUNT}"]
    assert len({one["detail"]["arn"] for one in (ours, theirs, others)}) == 3


def test_an_account_is_found_wherever_only_one_event_names_it_and_is_the_same_in_all():
    first, second = SPOKES
    own = {"account": HOME, "source": "sagewatch"}
    kept = keep(
        {**own, "detail": {"account": first, "endpoint": f"signs.{first}.eu-west-1"}},
        {**own, "detail": {"endpoint": f"signs.{second}.us-gov-west-1", "of": f"s3://captures-{second}/x"}},
        {**own, "detail": {"arn": "arn:aws-cn:sagemaker:cn-north-1:666666666666:endpoint/signs"}},
        {
            **own,
            "detail": {"image": "777777777777.dkr.ecr.eu-west-1.amazonaws.com/x", "key": "a-888888888888"},
        },
        {**own, "detail": {"bucket": {"name": f"captures-{first}"}}},
    )
    text = json.dumps(kept)
    assert not any(one in text for one in (HOME, *SPOKES, "666666666666", "777777777777"))
    # A number that nothing says to be an account is none: it may be part of an object's name.
    assert kept[3]["detail"]["key"] == "a-888888888888"
    account = kept[0]["detail"]["account"]
    assert kept[0]["detail"]["endpoint"] == f"signs.{account}.eu-west-1"
    assert kept[4]["detail"]["bucket"]["name"] == f"captures-{account}"
    assert kept[1]["detail"]["endpoint"].split(".")[1] in kept[1]["detail"]["of"]


def test_an_account_that_is_another_ones_stand_in_is_not_taken_for_it():
    kept = keep(
        build(ACCOUNT, "eu-west-1"), build(ELSEWHERE, "eu-west-1"), build(HOME, "eu-west-1"), home=ELSEWHERE
    )
    assert len({one["account"] for one in kept}) == 3
    assert kept[1]["account"] == ACCOUNT


def test_a_capture_bucket_that_bears_another_account_is_the_same_in_scene_and_events():
    scene = Scene(account=HOME, capture_bucket=f"captures-{SPOKES[1]}")
    event = {**build(HOME, "eu-west-1"), "detail": {"bucket": {"name": scene.capture_bucket}}}
    stand_ins = find_stand_ins(scene, [build(SPOKES[0], "eu-west-1"), event])
    kept = redact_scene(scene)
    assert kept.capture_bucket == redact(event, stand_ins)["detail"]["bucket"]["name"] != scene.capture_bucket


def play(folder):
    recording = load_recording([folder], None, None)
    player = build_player(recording)
    player.play(recording.events)
    outcome = gather(player, len(recording.events))
    return outcome, compare(outcome, iterate_own(recording.events), recording.stories)


def test_a_hubs_redacted_recording_is_replayed_to_the_same_incident(tmp_path):
    """Its facts speak of a spoke's endpoint, too, whose captures are no part of it."""
    write_archive(tmp_path)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    scene = Scene(account=HOME, capture_bucket=f"captures-{HOME}")
    for event in events:
        event |= {"account": HOME, "region": scene.region}
        if event["source"] == "aws.s3":
            event["detail"]["bucket"]["name"] = scene.capture_bucket
    raised = next(event for event in events if event["detail-type"] == "Finding Raised")
    there = {"account": SPOKES[0], "endpoint": f"signs.{SPOKES[0]}.eu-west-1", "finding_id": "elsewhere"}
    events.append({**raised, "detail": {**raised["detail"], **there}})
    (tmp_path / SCENE_FILE).write_bytes(msgspec.json.encode(scene))
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    plain, differences = play(tmp_path)
    assert differences == []
    stand_ins = find_stand_ins(scene, events)
    redacted = "".join(json.dumps(redact(one, stand_ins)) + "\n" for one in events)
    (tmp_path / "events.jsonl").write_text(redacted)
    (tmp_path / SCENE_FILE).write_bytes(msgspec.json.encode(redact_scene(scene)))
    kept, differences = play(tmp_path)
    assert differences == []
    assert SPOKES[0] not in redacted
    (one,), (other,) = plain.incidents, kept.incidents
    assert (one.incident.incident_id, one.incident.state) == (other.incident.incident_id, "resolved")
    assert [entry.reason for entry in one.entries] == [entry.reason for entry in other.entries]
