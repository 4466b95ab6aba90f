"""The stack that stands: its template, its status, and whether CloudFormation takes a change of it now."""

from __future__ import annotations

import json
from typing import Any, Final

from botocore.exceptions import ClientError

from deploy.refused import RefusedError

# Source: CloudFormation user guide, stack status codes.
_STUCK: Final = {
    "CREATE_FAILED": "delete",
    "ROLLBACK_COMPLETE": "delete",
    "ROLLBACK_FAILED": "delete",
    "DELETE_FAILED": "remove",
    "UPDATE_ROLLBACK_FAILED": "continue",
}
_WAYS: Final = {
    "delete": "CloudFormation takes no change of it. See what is in it (aws cloudformation describe-stack-resources --stack-name {stack}), remove it "
    "(aws cloudformation delete-stack --stack-name {stack}), and try again; table and buckets that were in use are kept.",
    "remove": "Its removal stopped halfway, most often at the deployment bucket, which CloudFormation deletes only when empty. `make remove "
    "STAGE={stage}` empties it, or sees that it is gone, and goes on; table and buckets that were in use are kept. Where it stops again, its events say at "
    "what (aws cloudformation describe-stack-events --stack-name {stack}); without that: aws cloudformation delete-stack --stack-name {stack} "
    "--retain-resources NAME",
    "continue": "Its last update could be neither made nor put back. Mend what its events name, then: aws cloudformation "
    "continue-update-rollback --stack-name {stack}",
    "wait": "Somebody, or what you began before, is changing it right now. Wait for its end, and try again: aws cloudformation "
    "describe-stack-events --stack-name {stack}",
}
_NEVER_MADE: Final = "REVIEW_IN_PROGRESS"  # a change set that nobody carried out; osls goes on from it


def find_template(session: Any, stack: str) -> dict[str, Any] | None:
    """The template that stands, or None where there is no such stack."""
    try:
        body = session.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return dict(json.loads(body) if isinstance(body, str) else body)


def find_status(stack: str, session: Any) -> str | None:
    """The stack's status as CloudFormation has it; None where there is no such stack."""
    try:
        return str(
            session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def refuse_stuck(session: Any, stack: str) -> None:
    """Refuse a stack that CloudFormation would not change: a comparison with it would say nothing true.

    Raises
    ------
    RefusedError
        Somebody is changing it, or an attempt of before left it in a state of which only a person gets it out.
    """
    status = find_status(stack, session)
    if status is None or status == _NEVER_MADE:
        return
    way = "wait" if status.endswith("_IN_PROGRESS") else _STUCK.get(status)
    if way:
        raise RefusedError(
            f"{stack} is {status}. {_WAYS[way].format(stack=stack, stage=stack.partition('-')[2])}"
        )
