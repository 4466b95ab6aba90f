"""Keys of one's own: whether they are enabled, and whether their policies let in who must use them.

Nothing else tells: where EventBridge may not use the queues' key, events are lost, and the dead-letter queues are under the
same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from sagewatch.cli.checks import Line, Patient

_NEEDED: Final = frozenset({"kms:GenerateDataKey", "kms:Decrypt"})
_SERVICES: Final = {"events.amazonaws.com": "queues", "cloudwatch.amazonaws.com": "operations topic"}
_DOCS: Final = 'docs/deploy.md, "A key of your own", has the statement.'


def check_keys(patient: Patient) -> Iterator[Line]:
    """The stack's key, that of an existing capture bucket, and that of the jobs' volumes."""
    for output, services in (("KmsKeyArn", _SERVICES), ("CaptureKmsKeyArn", {}), ("JobVolumeKmsKeyArn", {})):
        arn = patient.outputs.get(output)
        if arn:
            yield from _check_key(patient, arn, services)


def _check_key(patient: Patient, arn: str, services: Mapping[str, str]) -> Iterator[Line]:
    name = arn.rpartition("/")[2]
    owner, account = (one.split(":")[4] for one in (arn, patient.outputs["OperationsTopicArn"]))
    if owner != account:  # a key's policy is shown to its own account alone
        fix = (
            f"Let its owner see that it is enabled and that its policy lets account {account} use it. {_DOCS}"
        )
        yield Line(None, f"key {name}", f"is of account {owner}, and cannot be looked at from here", fix)
        return
    kms = patient.client("kms")
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    fix = "Nothing under it can be read or written: enable it (KMS console), or cancel its deletion."
    yield Line(state == "Enabled", f"key {name}", state.lower(), fix)
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    rows = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    rows = [
        row for row in rows if any(fnmatchcase(arn, str(one)) for one in _as_list(row.get("Resource", "*")))
    ]
    leaves = any(_lets_iam_decide(row, account) for row in rows)
    yield Line(
        leaves or None,
        f"key {name} and the stack's roles",
        "IAM policies decide" if leaves else "the key's policy does not leave it to IAM",
        "Each role of the stack must be named in the key's policy (docs/permissions.md lists them), or the account's root.",
    )
    for service, what in services.items():
        yield _judge_service(rows, service, what, account, name)


def _judge_service(rows: list[Mapping[str, Any]], service: str, what: str, account: str, name: str) -> Line:
    said = f"key {name} and {service}"
    granted = [row for row in rows if _is_for(row, "Service", service)]
    sure = {a for row in granted if _fits(row.get("Condition", {}), account) for a in _list_allowed(row)}
    perhaps = {
        a for row in granted if _fits(row.get("Condition", {}), account) is None for a in _list_allowed(row)
    }
    if sure >= _NEEDED:
        return Line(True, said, f"may write into the {what}")
    missing = ", ".join(sorted(_NEEDED - sure))
    if sure | perhaps >= _NEEDED:
        return Line(
            None,
            said,
            f"{missing} hangs on a condition",
            f"Let an alarm or a capture file come through once. {_DOCS}",
        )
    return Line(False, said, f"{missing} is not allowed: nothing reaches the {what}", _DOCS)


def _lets_iam_decide(row: Mapping[str, Any], account: str) -> bool:
    return any(_is_for(row, "AWS", who) for who in (account, f"arn:*:iam::{account}:root")) and (
        _list_allowed(row) == _NEEDED and not row.get("Condition")
    )


def _is_for(row: Mapping[str, Any], kind: str, who: str) -> bool:
    """Whether a statement lets that principal in; ``who`` may be a pattern."""
    if row["Effect"] != "Allow":
        return False
    principal = row.get("Principal", {})
    named = ["*"] if principal == "*" else _as_list(principal.get(kind, []))
    return any(one == "*" or fnmatchcase(one, who) for one in named)


def _list_allowed(row: Mapping[str, Any]) -> set[str]:
    patterns = [str(one).lower() for one in _as_list(row.get("Action", []))]
    return {one for one in _NEEDED if any(fnmatchcase(one.lower(), pattern) for pattern in patterns)}


def _fits(condition: Mapping[str, Any], account: str) -> bool | None:
    """Whether a condition lets this account's services in; None for one that is not understood."""
    for operator, tests in condition.items():
        for key, values in tests.items():
            if operator not in {"StringEquals", "StringLike"} or key.lower() != "aws:sourceaccount":
                return None
            if not any(fnmatchcase(account, str(one)) for one in _as_list(values)):
                return False
    return True


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
