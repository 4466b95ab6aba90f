"""A recorded monitoring job is judged again as it was: same incident, same reasons, and nothing in it that pages withhold."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.entry import handle
from sagewatch.errors import RefusedError, RejectedInputError, RetryError
from sagewatch.flows.ingest_report import WITH_VIOLATIONS, WITHOUT_VIOLATIONS, ingest_report
from sagewatch.flows.report_files import KEPT_AT_MOST
from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.memory.world import MemoryObjects
from sagewatch.monitors import parse_monitors
from sagewatch.replay.jobs import NOT_KEPT, load_jobs, write_jobs
from sagewatch.replay.keep import build_scene, order_events, write_recording
from sagewatch.replay.keep_jobs import keep_jobs, pick_description
from sagewatch.replay.load import build_player, load_recording
from sagewatch.replay.outcome import compare, encode, gather, list_reasons
from sagewatch.replay.recording import iterate_own
from sagewatch.replay.redaction import find_stand_ins, redact, redact_job, redact_scene
from sagewatch.replay.scene import Story
from sagewatch.report.failure import classify_failure
from sagewatch.report.run import Run, recognise_run
from tests.unit.flows import worlds
from tests.unit.flows.worlds import MONITORS, NOW, Pump

HOME = "123456789012"
REPORTS = f"evidence-{HOME}"
SENSITIVE = MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [zip]\n")
SCHEDULE = "signs-hourly"
ROWS = [
    {"feature_name": "age", "constraint_check_type": "data_type_check", "description": "99% Integral"},
    {"feature_name": "Zip", "constraint_check_type": "categorical_values_check", "description": "new: 79098"},
]
STATISTICS = {
    "version": 0.0,
    "dataset": {"item_count": 500},
    "features": [{"name": "age"}, {"name": "Zip", "examples": ["79098"]}],
}
FOUND = "CompletedWithViolations: Job completed successfully with 2 violations."


def build_world(monitors=MONITORS):
    """A stack whose buckets have its account in their names."""
    world = worlds.build_world(monitors)
    settings = msgspec.structs.replace(world.settings, evidence_bucket=REPORTS)
    return dataclasses.replace(world, settings=settings)


def run_job(world, hour=0, *, rows=ROWS, message=FOUND, status="Completed", files=None, **described):
    """A job ends as SageMaker describes it, and its report lies in S3; the event that tells of it."""
    ended = NOW + timedelta(hours=hour)
    name = f"data-quality-monitoring-{ended:%Y%m%d%H%M}-259fee1f24dfb6ac09b389dd"
    folder = f"signs/{SCHEDULE}/{ended:%Y/%m/%d/%H}"
    world.jobs.jobs[name] = {
        "ProcessingJobName": name,
        "ProcessingJobStatus": status,
        "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:{HOME}:processing-job/{name}",
        "RoleArn": f"arn:aws:iam::{HOME}:role/ada",
        "AppSpecification": {"ImageUri": "image-of-ada"},
        "ExitMessage": message,
        "ProcessingEndTime": ended.astimezone(),
        "Environment": {
            "baseline_constraints": "/opt/ml/processing/baseline/constraints.json",
            "sagemaker_endpoint_name": "signs",
            "sagemaker_monitoring_schedule_name": SCHEDULE,
            "start_time": f"{ended - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
            "token": "a-secret",
        },
        "ProcessingInputs": [
            {"InputName": "captures", "S3Input": {"S3Uri": f"s3://captures-{HOME}/capture", "S3DataType": "x",
             "LocalPath": "/opt/ml/processing/input/endpoint/signs/AllTraffic/2026/11/21/11"}}
        ],
        "ProcessingOutputConfig": {
            "KmsKeyId": "key-of-ada",
            "Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": f"s3://{REPORTS}/{folder}"}}],
        },
        **described,
    }  # fmt: skip
    told = {
        "constraint_violations.json": json.dumps({"violations": rows}),
        "statistics.json": json.dumps(STATISTICS),
    }
    for file, body in (told if files is None else files).items():
        world.objects.put_object(
            REPORTS, f"{folder}/{file}", body if isinstance(body, bytes) else body.encode(), ""
        )
    return build_end(name, ended, status)


def judge(world, *events):
    """The stack gets the events, and does what it does."""
    pump = Pump(world)
    for event in events:
        world.now.now = datetime.fromisoformat(event["time"])
        handle(ingest_report, event, world)
        pump.run()
    return list(events)


def build_end(name, ended, status="Completed", account=HOME):
    detail = {
        "ProcessingJobName": name, "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:{account}:processing-job/{name}",
        "ProcessingJobStatus": status, "ExitMessage": "quotes 79098", "FailureReason": "quotes 79098",
    }  # fmt: skip
    return {
        "source": "aws.sagemaker", "detail-type": "SageMaker Processing Job State Change", "account": account,
        "region": "eu-west-1", "time": ended.isoformat(), "detail": detail,
    }  # fmt: skip


def keep(folder, world, events, monitors=MONITORS):
    """What `record` does, with the archives' events given."""
    known = dataclasses.replace(world, monitors=parse_monitors(monitors, "monitors.yml"))
    found = [*events, *world.bus.events]
    told = build_scene(world.settings, HOME)
    jobs = keep_jobs(found, known)
    scene, stand_ins = redact_scene(told), find_stand_ins(told, found, jobs)
    write_recording(folder / "events.jsonl", order_events(redact(one, stand_ins) for one in found), scene)
    write_jobs(folder / scene.jobs, [redact_job(job, stand_ins) for job in jobs])
    (folder / "monitors.yml").write_text(monitors)
    return {job.record.name: job for job in load_jobs(folder, scene.jobs)}


def play(folder):
    recording = load_recording([folder / "events.jsonl"], None, None)
    player = build_player(recording)
    player.play(recording.events)
    return recording, gather(player, len(recording.events)), player


def list_stories(world):
    named = [
        event["detail"]["incident_id"]
        for event in world.bus.events
        if event["detail-type"] == "Incident Opened"
    ]
    return [
        Story(incident=world.state.load_incident(name), entries=tuple(world.state.load_entries(name)))
        for name in named
    ]


def test_the_incident_of_a_recorded_job_is_reproduced_with_its_fingerprint_and_reasons(tmp_path):
    world = build_world()
    events = judge(world, run_job(world), run_job(world, 1, rows=[], message=""))
    keep(tmp_path, world, events)
    recording, outcome, _ = play(tmp_path)
    (story,) = list_stories(world)
    (told,) = outcome.incidents
    assert told.incident.fingerprint == story.incident.fingerprint
    assert told.incident.incident_id == story.incident.incident_id
    assert told.incident.kind == "data-quality"
    assert told.incident.latest.counts == {"age": 1, "Zip": 1}
    assert told.incident.latest.cleared_at == NOW + timedelta(hours=1)
    assert list_reasons(told.entries) == list_reasons(story.entries) != []
    assert (outcome.unplayed, outcome.given_up, len(outcome.jobs)) == ((), (), 2)
    assert compare(outcome, iterate_own(recording.events), [story]) == []


def test_what_a_job_found_is_compared_once_it_is_played(tmp_path):
    world = build_world()
    kept = keep(tmp_path, world, judge(world, run_job(world)))
    (job,) = kept.values()
    (tmp_path / "jobs" / job.record.name / "constraint_violations.json").write_text('{"violations": []}')
    recording, outcome, _ = play(tmp_path)
    differences = compare(outcome, iterate_own(recording.events), list_stories(world))
    assert [one.what.partition(" ")[0] for one in differences] == ["findings", "incident"]


def test_two_plays_of_a_recorded_job_are_byte_identical_with_its_page(tmp_path):
    world = build_world()
    keep(tmp_path, world, judge(world, run_job(world)))
    first, second = play(tmp_path), play(tmp_path)
    assert encode(first[1]) == encode(second[1])
    bodies = first[2].world.objects.bodies
    assert bodies == second[2].world.objects.bodies
    pages = [body for (_, key), body in bodies.items() if key.endswith(".html") and "incidents/" in key]
    assert any(b"99% Integral" in page for page in pages)


def test_two_recordings_of_the_same_are_the_same_files(tmp_path):
    world = build_world()
    events = judge(world, run_job(world))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        keep(tmp_path / name, world, events)
    files = [{path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.json*")}
             for name in ("a", "b")]  # fmt: skip
    assert files[0] == files[1]
    assert len(files[0]) == 5


def test_nothing_is_kept_that_pages_withhold_or_that_names_anybody(tmp_path):
    world = build_world(SENSITIVE)
    event = run_job(
        world, files={"constraint_violations.json": json.dumps({"violations": ROWS}),
                      "statistics.json": json.dumps(STATISTICS), "analysis.json": '{"rows": [["79098"]]}',
                      "constraints.json": json.dumps({"features": [{"name": "zip", "values": ["79098"]}]})},
    )  # fmt: skip
    failed = run_job(
        world, 1, status="Failed", files={}, message="AlgorithmError: cannot parse 79098 as Integral"
    )
    kept = keep(tmp_path, world, judge(world, event, failed), SENSITIVE)
    text = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode()
    for secret in ("79098", "ada", "a-secret", HOME, "key-of", 'RoleArn": "arn'):
        assert secret not in text, secret
    job = kept[event["detail"]["ProcessingJobName"]]
    assert job.record.left_out.keys() == {"analysis.json"}
    assert not job.record.unplayed
    _, outcome, _ = play(tmp_path)
    assert outcome.unplayed == ()
    kinds = {told.incident.kind: told.incident.latest.counts for told in outcome.incidents}
    assert kinds == {"data-quality": {"age": 1, "Zip": 1}, "job-failed": {"parse": 1}}
    assert {told.incident.fingerprint for told in outcome.incidents} == {
        story.incident.fingerprint for story in list_stories(world)
    }


def test_of_an_endpoint_that_the_monitors_file_does_not_name_no_value_is_kept(tmp_path):
    world = build_world()
    known = dataclasses.replace(world, monitors=parse_monitors(MONITORS.replace("signs:", "other:"), "m"))
    (job,) = keep_jobs([run_job(world)], known)
    text = b"".join(job.files.values())
    assert b"79098" not in text
    assert b"99% Integral" not in text
    assert text.count(b"constraint_check_type") == 2


@pytest.mark.parametrize(("monitors", "kept"), [(MONITORS, b"<xml>79098"), (SENSITIVE, b"withheld")])
def test_a_report_that_could_not_be_read_is_found_unreadable_again(tmp_path, monitors, kept):
    world = build_world(monitors)
    jobs = keep(
        tmp_path, world, [run_job(world, files={"constraint_violations.json": "<xml>79098"})], monitors
    )
    (job,) = jobs.values()
    assert job.files["constraint_violations.json"].startswith(kept)
    _, outcome, _ = play(tmp_path)
    (told,) = outcome.incidents
    assert (told.incident.kind, told.incident.latest.counts) == ("job-failed", {"parse": 1})


@pytest.mark.parametrize(
    ("file", "unplayed"),
    [("constraint_violations.json", True), ("statistics.json", True), ("other.json", False)],
)
def test_a_file_that_is_too_large_is_named_and_so_is_the_job_that_is_judged_by_it(tmp_path, file, unplayed):
    world = build_world()
    large = b'"' + b"x" * KEPT_AT_MOST + b'"'
    event = run_job(
        world, files={"constraint_violations.json": json.dumps({"violations": ROWS}), file: large}
    )
    name = event["detail"]["ProcessingJobName"]
    job = keep(tmp_path, world, judge(world, event))[name]
    reason = "has 8.0 MB, more than the 8 MB that are kept"
    assert job.record.left_out == {file: reason}
    recording, outcome, _ = play(tmp_path)
    assert outcome.unplayed == (((name, f"{file} {reason}"),) if unplayed else ())
    assert outcome.jobs == (() if unplayed else (name,))
    if unplayed:
        assert compare(outcome, iterate_own(recording.events), list_stories(world)) == []
        result = CliRunner().invoke(cli, ["replay", str(tmp_path / "events.jsonl")])
        assert result.exit_code == 0, result.output
        assert f"1 processing job not played: {file} {reason} ({name})." in result.output


def test_an_older_recording_names_its_jobs_as_unplayed(tmp_path):
    world = build_world()
    event = run_job(world)
    name = event["detail"]["ProcessingJobName"]
    keep(tmp_path, world, judge(world, event))
    for path in sorted((tmp_path / "jobs").rglob("*.json")):
        path.unlink()
    scene = json.loads((tmp_path / "scene.json").read_text())
    del scene["jobs"]
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    recording, outcome, _ = play(tmp_path)
    assert (outcome.jobs, outcome.unplayed) == ((), ((name, NOT_KEPT),))
    assert compare(outcome, iterate_own(recording.events), list_stories(world)) == []


def test_an_episode_that_began_before_the_recording_is_no_difference(tmp_path):
    world = build_world()
    _, second = judge(world, run_job(world), run_job(world, 1))
    told_of_the_first = next(n for n, one in enumerate(world.bus.events) if one["time"] == second["time"])
    del world.bus.events[:told_of_the_first]
    keep(tmp_path, world, [second])
    recording, outcome, _ = play(tmp_path)
    assert any(one["detail-type"] == "Finding Raised" for one in iterate_own(recording.events))
    assert len(outcome.jobs) == 1
    assert compare(outcome, iterate_own(recording.events), ()) == []


def test_what_began_after_such_an_episode_was_over_is_compared(tmp_path):
    world = build_world()
    jobs = [
        run_job(world),
        *(run_job(world, hour, rows=[], message="") for hour in (1, 2)),
        run_job(world, 3),
    ]
    _, second, *_ = judge(world, *jobs)
    told_of_the_first = next(n for n, one in enumerate(world.bus.events) if one["time"] == second["time"])
    del world.bus.events[:told_of_the_first]
    keep(tmp_path, world, jobs[1:])
    recording, outcome, _ = play(tmp_path)
    assert compare(outcome, iterate_own(recording.events), ()) == []
    assert len({one.finding_id for one in outcome.findings}) == 1
    silent = msgspec.structs.replace(outcome, findings=(), incidents=())
    assert [one.what for one in compare(silent, iterate_own(recording.events), ())] == ["findings"]


class AskedSageMaker(MemorySageMaker):
    """SageMaker that says no."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    def describe_processing_job(self, name):
        raise self._error


class ClosedObjects(MemoryObjects):
    """A bucket that may not be listed."""

    def describe_objects(self, bucket, prefix):
        raise RefusedError(
            "ListObjectsV2", "AccessDenied", f"arn:aws:iam::{HOME}:user/ada may not list {bucket}"
        )


def test_what_cannot_be_had_is_named_with_the_reason_and_without_the_caller():
    world = build_world()
    event = run_job(world)
    refused = RefusedError("DescribeProcessingJob", "AccessDeniedException", "ada may not")
    cases = {
        "AWS did not show it to who recorded (ListObjectsV2: AccessDenied)": {"objects": ClosedObjects()},
        "AWS did not show it to who recorded (DescribeProcessingJob: AccessDeniedException)": {
            "jobs": AskedSageMaker(refused)
        },
        "AWS did not show it when it was recorded (throttled)": {
            "jobs": AskedSageMaker(RetryError("throttled"))
        },
        "SageMaker does not know it any more": {"jobs": MemorySageMaker()},
    }
    for reason, ports in cases.items():
        (job,) = keep_jobs([event], dataclasses.replace(world, **ports))
        assert job.record.unplayed == reason
        assert job.files == {}


def test_jobs_that_are_no_monitors_are_known_by_name_alone_and_judged_to_be_none(tmp_path):
    world = build_world()
    name = "training-data-of-ada"
    world.jobs.jobs[name] = {
        "ProcessingJobName": name,
        "ProcessingJobStatus": "Completed",
        "Environment": {"a": "b"},
    }
    kept = keep(tmp_path, world, [build_end(name, NOW)])
    told = {"ProcessingJobName": name, "ProcessingJobStatus": "Completed"}
    assert msgspec.to_builtins(kept[name].record.description) == told
    _, outcome, _ = play(tmp_path)
    assert (outcome.jobs, outcome.unplayed, outcome.incidents) == ((name,), (), ())


def test_jobs_of_other_places_and_our_own_and_odd_names_are_not_looked_at():
    world = build_world()
    ours = run_job(world)
    theirs = build_end("job-there", NOW, account="999999999999")
    odd = [build_end(name, NOW) for name in ("sagewatch-explain-1", "../../x", "")]
    kept = keep_jobs([theirs, *odd, ours, ours], world)
    assert [job.record.name for job in kept] == [ours["detail"]["ProcessingJobName"]]


def test_a_recording_again_replaces_what_was_kept_of_the_job(tmp_path):
    world = build_world()
    event = run_job(world)
    name = event["detail"]["ProcessingJobName"]
    assert "statistics.json" in keep(tmp_path, world, [event])[name].files
    del world.objects.bodies[REPORTS, f"signs/{SCHEDULE}/{NOW:%Y/%m/%d/%H}/statistics.json"]
    assert keep(tmp_path, world, [event])[name].files.keys() == {"constraint_violations.json"}
    assert not (tmp_path / "jobs" / name / "statistics.json").exists()


def test_a_recording_again_that_cannot_have_the_job_leaves_what_was_kept_of_it(tmp_path):
    world = build_world()
    event = run_job(world)
    name = event["detail"]["ProcessingJobName"]
    before = keep(tmp_path, world, [event])[name]
    throttled = dataclasses.replace(world, jobs=AskedSageMaker(RetryError("throttled")))
    assert keep(tmp_path, throttled, [event])[name] == before
    (tmp_path / "jobs" / f"{name}.json").write_text("{")
    assert keep(tmp_path, throttled, [event])[name].record.unplayed.endswith("(throttled)")


def test_what_else_lies_in_a_folder_called_jobs_is_somebodys_own(tmp_path):
    world = build_world()
    keep(tmp_path, world, judge(world, run_job(world)))
    (tmp_path / "jobs" / "mine.json").write_text('{"cron": "0 3 * * *"}')
    (tmp_path / "jobs" / "list.json").write_text("[1, 2")
    assert len(play(tmp_path)[1].jobs) == 1


THEIRS, LOGS = "210987654321", "310987654321"


def test_no_file_of_a_recording_names_an_account_or_anybody(tmp_path):
    """Accounts that stand in the name of a bucket, an ARN or a report alone, and in nothing that the events say."""
    world = build_world()
    rows = [{**ROWS[0], "description": f"99% Integral; arn:aws:kms:eu-west-1:{LOGS}:key/k"}]
    baseline = {
        "InputName": "baseline",
        "S3Input": {"S3Uri": f"s3://baselines-{THEIRS}-eu-west-1/b", "LocalPath": "/opt/b"},
    }
    job = run_job(
        world, files={"constraint_violations.json": json.dumps({"violations": rows}),
                      "statistics.json": json.dumps(STATISTICS),
                      "where.json": json.dumps({"uri": f"s3://reports.{LOGS}/x", "table": {"bucket_name": f"{THEIRS}-x"}})},
        ProcessingInputs=[baseline],
    )  # fmt: skip
    landed = {
        "source": "aws.s3", "detail-type": "Object Created", "account": HOME, "region": "eu-west-1",
        "time": NOW.isoformat(),
        "detail": {"bucket": {"name": "captures-410987654321"}, "requester": THEIRS, "source-ip-address": "203.0.113.9",
                   "object": {"key": "capture/x", "size": 1, "etag": "", "sequencer": "0"}},
    }  # fmt: skip
    pressed = {**landed, "source": "sagewatch", "detail-type": "Action Requested",
               "detail": {"by": "ada", "action": "ack", "queue": f"https://sqs.eu-west-1.amazonaws.com/{LOGS}/q"}}  # fmt: skip
    keep(tmp_path, world, [*judge(world, job), landed, pressed])
    for path in sorted(tmp_path.rglob("*")):
        text = path.read_bytes().decode() if path.is_file() else ""
        found = set(re.findall(r"(?<!\d)\d{12}(?!\d)", f"{path.relative_to(tmp_path)} {text}"))
        assert found <= {"111122223333", *(str(444455556666 + n) for n in range(4)), "202611211200"}, (
            path.name
        )
        assert not re.search(rf"ada\b|203\.0\.113\.9|a-secret|key-of|{THEIRS}|{LOGS}", text), path.name
    # Equal ones stay equal: the play still finds the report where the job says that it lies.
    assert len(play(tmp_path)[1].jobs) == 1


def test_events_of_one_second_are_in_the_order_of_their_own_clocks():
    second = "2026-11-21T12:00:00Z"
    key = "capture/signs/AllTraffic/2026/11/21/11/{}-000-x.jsonl"

    def land(name, etag):
        detail = {"bucket": {"name": "b"}, "object": {"key": key.format(name), "etag": etag}}
        return {"source": "aws.s3", "detail-type": "Object Created", "time": second, "detail": detail}

    def say(status, at):
        detail = {"ProcessingJobName": "j", "ProcessingJobStatus": status, "LastModifiedTime": at}
        kind = "SageMaker Processing Job State Change"
        return {"source": "aws.sagemaker", "detail-type": kind, "time": second, "detail": detail}

    at = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
    early = {**land("01-00", "c"), "time": "2026-11-21T11:59:59.900000Z"}
    late = {**land("01-01", "a"), "time": "2026-11-21T12:00:00.500000Z"}
    right = [early, land("58-00", "b"), land("59-00", "a"), say("InProgress", at + 200), say("Completed", at + 200),
             say("InProgress", at + 300), late]  # fmt: skip
    assert order_events([{**one, "replay-name": "r"} for one in reversed(right)]) == right


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"files": ["../../../secret.json"]}, "must lie beside the scene"),
        ({"files": ["gone.json"]}, "cannot be read"),
        ({"name": "another"}, "is another job's"),
        ({"description": {"ProcessingJobName": 1}}, "is no recorded job"),
    ],
)
def test_a_recorded_job_that_cannot_be_right_is_refused(tmp_path, change, said):
    world = build_world()
    event = run_job(world)
    name = event["detail"]["ProcessingJobName"]
    keep(tmp_path, world, [event])
    path = tmp_path / "jobs" / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RejectedInputError, match=said):
        play(tmp_path)


def test_a_report_that_a_later_job_wrote_over_is_not_taken_for_the_earlier_ones(tmp_path):
    world = build_world()
    outputs = {"Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": f"s3://{REPORTS}/by-hand"}}]}
    events = [run_job(world, hour, ProcessingOutputConfig=outputs) for hour in (0, 1)]
    first, second = (event["detail"]["ProcessingJobName"] for event in events)
    keep(tmp_path, world, events)
    assert play(tmp_path)[1].unplayed == ((first, f"{second} wrote over its report"),)


def test_times_are_kept_as_they_were(tmp_path):
    world = build_world()
    event = run_job(world, ProcessingEndTime=datetime(2026, 11, 21, 13, tzinfo=UTC))
    (job,) = keep(tmp_path, world, [event]).values()
    assert job.record.description.processing_end_time == datetime(2026, 11, 21, 13, tzinfo=UTC)


REAL = Path(__file__).parents[4] / "shared" / "real" / "events" / "api_responses"


def pick_again(described):
    """The run that a job was, and the one that is read from what is kept of its description."""
    run = recognise_run(described)
    return run, recognise_run(msgspec.to_builtins(pick_description(described, run)))


@pytest.mark.parametrize("said", ["CompletedWithViolations: Job completed successfully with 3 violations of ada.",
                                  "Completed: Job completed successfully with no violations. ada", "Completed: ada"])  # fmt: skip
def test_of_a_run_that_completed_what_it_said_of_violations_is_kept_and_nothing_else(said):
    job = {"ProcessingJobName": "n", "ProcessingJobStatus": "Completed", "Environment": {"THRESHOLD": "0.5"}}
    _, again = pick_again({**job, "ExitMessage": said})
    starts = [word for word in (WITH_VIOLATIONS, WITHOUT_VIOLATIONS) if said.startswith(word)]
    assert again.message == "".join(starts)
    assert "ada" not in again.message


def is_same_run(described):
    run, again = pick_again(described)
    if run.status != "Completed":
        assert (
            classify_failure(run.status, run.message).code
            == classify_failure(again.status, again.message).code
        )
    return msgspec.structs.replace(again, message=run.message) == run


@pytest.mark.parametrize(
    "job",
    [
        {"ProcessingJobName": f"{prefix}-202403181700-d9567a3d", "ProcessingJobStatus": status,
         "FailureReason": "ClientError: No S3 objects found under S3 URL", **told}
        for prefix in ("model-quality-monitoring", "model-bias-monitoring", "model-explainability-monitoring",
                       "groundtruth-merge-202403181700", "sagemaker-processing-container")
        for status in ("Completed", "Failed", "Stopped")
        for told in (
            {"MonitoringScheduleArn": "arn:aws:sagemaker:us-east-1:1:monitoring-schedule/nightly",
             "ProcessingEndTime": 1710781045528,
             "ProcessingInputs": [{"S3Input": {"S3Uri": "s3://b/capture/signs/Blue/2024/03/18/16",
                                               "LocalPath": "/opt/ml/processing/input/data"}}],
             "ProcessingOutputConfig": {"Outputs": [
                 {"OutputName": "result", "S3Output": {"S3Uri": "s3://b/reports/signs/Nightly/2024/03/18/17"}}]}},
            {"Environment": {"THRESHOLD": "0.5"},
             "ProcessingInputs": [{"S3Input": {"S3DataDistributionType": "ShardedByS3Key"}}],
             "ProcessingResources": {"ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large"}}},
            {"Environment": {"THRESHOLD": "0.5", "start_time": "2024-03-18T16:00:00Z"},
             "LastModifiedTime": datetime(2024, 3, 18, 17, tzinfo=UTC)},
            {"Environment": {"analysis_type": "MODEL_QUALITY", "baseline_constraints": "x",
                             "sagemaker_endpoint_name": "signs"}},
        )
    ],
)  # fmt: skip
def test_what_is_kept_of_a_description_tells_the_same_run(job):
    assert is_same_run(job)


@pytest.mark.real
def test_what_is_kept_of_real_descriptions_tells_the_same_run():
    if not REAL.is_dir():
        pytest.skip("../shared/real is not here: real descriptions are read in place")
    told = [json.loads(path.read_text()) for path in sorted(REAL.glob("*.json"))]
    jobs = [one for one in told if isinstance(one, dict) and isinstance(recognise_run(one), Run)]
    assert len(jobs) > 3
    assert all(map(is_same_run, jobs))
