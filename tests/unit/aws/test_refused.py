"""What AWS refuses for good reaches the log by operation and code, whichever service it is; what heals is retried."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from sagewatch import entry
from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.aws.eventbridge import EventBridgeBus
from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
from sagewatch.aws.sqs import SqsWakeups
from sagewatch.entry import Batch, build_url_handler
from sagewatch.errors import RefusedError, SagewatchError, find_refusal
from sagewatch.events import Ticked
from sagewatch.flows.tick import tick
from sagewatch.observability import get_logger
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.aws.local_aws import aws_at
from tests.unit.aws.test_http import serve
from tests.unit.flows.worlds import NOW, build_world

QUOTED = "User arn:aws:sts::123456789012:assumed-role/x may not, with SECRET"
FACT = SimpleNamespace(detail_type="Alert Due", detail={})
ROW = Item("incident#SECRET", "meta", b"{}")
CALLS = {
    "GetItem": lambda: DynamoItems("state").get("a", "b"),
    "Query": lambda: DynamoItems("state").query("a"),
    "PutItem": lambda: DynamoItems("state").write([Write(ROW, ANY_VERSION)]),
    "TransactWriteItems": lambda: DynamoItems("state").write([Write(ROW, ANY_VERSION)] * 2),
    "DeleteItem": lambda: DynamoItems("state").delete("a", "b", 1),
    "PutEvents": lambda: EventBridgeBus("sagewatch").publish([FACT], NOW),
    "SendMessage": lambda: SqsWakeups("https://sqs/1/q", "https://sqs/1/dead").wake(FACT, NOW, 1),
    "DescribeProcessingJob": lambda: SageMakerJobs().describe_processing_job("x"),
    "ListTags": lambda: SageMakerHosting().list_tags("arn:aws:sagemaker:eu-west-1:123456789012:endpoint/x"),
}


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level("INFO", logger=get_logger().name)
    return caplog


@pytest.fixture
def aws_says():
    """Every service answers with this code and status."""

    def begin(code, status, act):
        def answer(handler):
            body = json.dumps({"__type": f"com.amazon.coral#{code}", "message": QUOTED}).encode()
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        with serve(answer) as (port, _), aws_at(port, "DYNAMODB", "EVENTBRIDGE", "SQS", "SAGEMAKER"):
            return act()

    return begin


def run(call, world):
    record = {"messageId": "m0", "body": json.dumps({"source": "sagewatch", "detail-type": "Tick", "time": NOW.isoformat()})}  # fmt: skip
    return Batch(lambda _fact, _world: call(), world).run([record])


def find_lines(caplog, *messages):
    return [one for one in caplog.records if one.getMessage() in messages]


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "KMSDisabledException"]
)
@pytest.mark.parametrize("operation", CALLS)
def test_what_is_refused_for_good_is_logged_by_operation_and_code_alone(aws_says, log, operation, code):
    answer = aws_says(code, 400, lambda: run(CALLS[operation], build_world()))
    assert answer["batchItemFailures"]
    (line,) = find_lines(log, "record_refused", "record_failed", "record_retried")
    assert (line.getMessage(), line.operation, line.reason) == ("record_refused", operation, code)
    assert "SECRET" not in log.text


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("InternalServerError", 500), ("SomethingNew", 503)]
)
@pytest.mark.parametrize("operation", ["GetItem", "PutEvents", "SendMessage", "DescribeProcessingJob"])
def test_what_can_heal_is_logged_as_what_comes_again(aws_says, log, monkeypatch, operation, code, status):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # between its own attempts
    aws_says(code, status, lambda: run(CALLS[operation], build_world()))
    (line,) = find_lines(log, "record_refused", "record_failed", "record_retried")
    assert (line.getMessage(), line.reason) == ("record_retried", code)


def test_a_part_of_the_minutes_round_that_aws_refuses_says_operation_and_code(log):
    world = build_world()

    def refuse(*_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": QUOTED}}, "Query")

    world.state.items.query = refuse
    run(lambda: tick(Ticked(NOW), world), world)
    reasons = {line.reason for line in find_lines(log, "tick_part_failed")}
    assert reasons == {"Query: AccessDeniedException"}
    (line,) = find_lines(log, "record_refused", "record_failed")
    assert (line.operation, line.reason) == ("Query", "AccessDeniedException")
    assert "SECRET" not in log.text


def test_a_function_with_an_address_says_what_aws_refused_it_and_raises_none_of_its_words(log, monkeypatch):
    def refuse(*_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": QUOTED}}, "PutItem")

    monkeypatch.setattr(entry, "build_desk", lambda account: None)
    context = SimpleNamespace(
        aws_request_id="r", invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:f"
    )
    with pytest.raises(RefusedError) as raised:
        build_url_handler(refuse)({}, context)
    assert "SECRET" not in str(raised.value)
    (line,) = find_lines(log, "record_refused")
    assert (line.operation, line.reason) == ("PutItem", "AccessDeniedException")


@pytest.mark.parametrize("error", [ValueError("x"), SagewatchError("x"), KeyError("operation_name")])
def test_what_is_no_refusal_is_none(error):
    assert find_refusal(error) is None
