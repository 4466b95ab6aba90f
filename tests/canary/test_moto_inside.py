"""What our gap modules replace or call inside moto has the names and parameters that they were written for."""

from __future__ import annotations

import importlib
import inspect

import pytest

SIGNATURES = {
    "moto.s3.notifications:_send_event_bridge_message": ("account_id", "bucket", "event_name", "key"),
    "moto.s3.notifications:_detail_type": ("event_name",),
    "moto.events.models:Rule.send_to_targets": ("self", "original_event", "transform_input"),
    "moto.events.models:EventsBackend.create_archive": (
        *("self", "name", "source_arn", "description", "event_pattern", "retention"),
    ),
    "moto.events.models:Replay.replay_events": ("self", "archive"),
    "moto.cloudformation.models:ChangeSet.apply": ("self",),
    "moto.cloudformation.models:validate_template_cfn_lint": ("template",),
    "moto.cloudformation.parsing:parse_and_create_resource": (
        *("logical_id", "resource_json", "resources_map", "account_id", "region_name"),
    ),
    "moto.awslambda.models:LambdaBackend.create_event_source_mapping": ("self", "spec"),
    "moto.sqs.models:Queue.delete_message": ("self", "receipt_handle"),
    "moto.sqs.models:Queue.wait_for_messages": ("self", "timeout"),
    "moto.sqs.models:SQSBackend.receive_message": (
        *(
            "self",
            "queue_name",
            "count",
            "wait_seconds_timeout",
            "visibility_timeout",
            "message_attribute_names",
        ),
    ),
    "moto.dynamodb.models:DynamoDBBackend.transact_write_items": ("self", "transact_items"),
    "moto.s3.models:S3Backend.put_bucket_notification_configuration": (
        "self",
        "bucket_name",
        "notification_config",
    ),
    "moto.dynamodb.models:DynamoDBBackend.update_time_to_live": ("self", "table_name", "ttl_spec"),
    "moto.sns.models:SNSBackend.publish": (
        *(
            "self",
            "message",
            "arn",
            "phone_number",
            "subject",
            "message_attributes",
            "group_id",
            "deduplication_id",
        ),
        "message_structure",
    ),
    "moto.ses.models:SESBackend.send_raw_email": ("self", "source", "destinations", "raw_data"),
    "moto.sns.models:SNSBackend.subscribe": ("self", "topic_arn", "endpoint", "protocol"),
    "moto.sns.models:SNSBackend.set_subscription_attributes": ("self", "arn", "name", "value"),
}
SOURCES = {
    # where -> (text that is there because of the gap, the module that fills it)
    "moto.sqs.models:Queue.delete_message": ("self._messages = new_messages", "queues.py"),
    "moto.dynamodb.models:DynamoDBBackend.transact_write_items": ("copy.deepcopy(", "transactions.py"),
    "moto.awslambda.models:LambdaBackend.create_event_source_mapping": (
        "queue.lambda_event_source_mappings[esm.function_arn] = esm",
        "source_mappings.py",
    ),
    "moto.cloudformation.models:ChangeSet.apply": ("resource_map.update(", "cloudformation_stacks.py"),
}


def original(place: str) -> object:
    """What a place such as `module:Class.method` names, below whatever was put over it in this process."""
    module, _, path = place.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        assert hasattr(found, name), f"{place} is gone from moto: the sandbox stands on it"
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("place", SIGNATURES)
def test_what_we_replace_still_has_its_parameters(place: str) -> None:
    parameters = tuple(inspect.signature(original(place)).parameters)  # type: ignore[arg-type]
    assert parameters == SIGNATURES[place], f"{place} takes {parameters} now: read moto_gaps again"


@pytest.mark.parametrize("place", SOURCES)
def test_what_we_replace_still_does_what_made_us(place: str) -> None:
    text, module = SOURCES[place]
    source = inspect.getsource(original(place))  # type: ignore[arg-type]
    assert text in source, f"{place} was rewritten in moto: read moto_gaps/{module} again"
