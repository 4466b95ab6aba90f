"""Keys of one's own: whether they are enabled, and whether their policies let in who must use them.

Nothing else tells: where EventBridge may not use the queues' key, events are lost, and the dead-letter queues are under the
same key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.resource_policy import (
    Row,
    find_denials,
    is_for,
    judge_service,
    list_named,
    list_rows,
)

_NEEDED: Final = frozenset({"kms:GenerateDataKey", "kms:Decrypt"})
_SERVICES: Final = {"events.amazonaws.com": "queues", "cloudwatch.amazonaws.com": "operations topic"}
KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "KmsKeyArn": _SERVICES,
    "CaptureKmsKeyArn": {},
    "JobVolumeKmsKeyArn": {},
}
"""Parameters (and outputs) of the stack that name a key, with the services that write under it without a role of ours."""
_DOCS: Final = 'docs/deploy.md, "A key of your own", has the statement.'


def check_keys(patient: Patient) -> Iterator[Line]:
    """The keys of the stack that stands."""
    arns = {name: patient.outputs.get(name, "") for name in KEYS}
    account = patient.outputs["OperationsTopicArn"].split(":")[4]
    yield from find_keys(patient.client, arns, account, patient.stack)


def find_keys(
    client: Callable[..., Any], arns: Mapping[str, str], account: str, stack: str
) -> Iterator[Line]:
    """The stack's key, that of an existing capture bucket, and that of the jobs' volumes; empty ones are none.

    Raises
    ------
    ClientError
        AWS refuses to tell.
    """
    for name, services in KEYS.items():
        if arns.get(name):
            yield from _check_key(client("kms"), arns[name], services, account, stack)


def _check_key(kms: Any, arn: str, services: Mapping[str, str], account: str, stack: str) -> Iterator[Line]:
    name, owner = arn.rpartition("/")[2], arn.split(":")[4]
    if owner != account:  # a key's policy is shown to its own account alone
        fix = (
            f"Let its owner see that it is enabled and that its policy lets account {account} use it. {_DOCS}"
        )
        yield Line(None, f"key {name}", f"is of account {owner}, and cannot be looked at from here", fix)
        return
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    fix = "Nothing under it can be read or written: enable it (KMS console), or cancel its deletion."
    yield Line(state == "Enabled", f"key {name}", state.lower(), fix)
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    rows = list_rows(policy, arn)
    yield _judge_roles(rows, account, stack, name)
    for service, what in services.items():
        yield _judge_service(rows, service, what, account, name)


def _judge_roles(rows: list[Row], account: str, stack: str, name: str) -> Line:
    said = f"key {name} and the stack's roles"
    home = f"arn:aws:iam::{account}"
    # Of a denial the account's root is everybody in it, and a role of ours may be named by itself.
    whom = (account, f"{home}:root", f"{home}:role/{stack}-*Role-*")
    if denied := _judge_denials(rows, "AWS", whom, account, said):
        return denied
    leaves = any(_lets_iam_decide(row, account) for row in rows)
    return Line(
        leaves or None,
        said,
        "IAM policies decide" if leaves else "the key's policy does not leave it to IAM",
        "Each role of the stack must be named in the key's policy (docs/permissions.md lists them), or the account's root.",
    )


def _judge_denials(rows: list[Row], kind: str, whom: tuple[str, ...], account: str, said: str) -> Line | None:
    """What the policy denies these principals, whatever else allows it; None where that is nothing."""
    sure, perhaps = find_denials(rows, kind, whom, _NEEDED, _know(account))
    return _tell_denied(sorted(sure or perhaps), said, sure=bool(sure)) if sure or perhaps else None


def _tell_denied(denied: Iterable[str], said: str, *, sure: bool) -> Line:
    fix = f"No statement that allows it counts against one that denies it: take it out of that one. {_DOCS}"
    told = f"a statement denies {', '.join(denied)}"
    return Line(False, said, told, fix) if sure else Line(None, said, f"{told} under a condition", fix)


def _judge_service(rows: list[Row], service: str, what: str, account: str, name: str) -> Line:
    said = f"key {name} and {service}"
    verdict = judge_service(rows, service, _NEEDED, _know(account))
    if verdict.denied:
        return _tell_denied(verdict.denied, said, sure=verdict.well is False)
    if verdict.well:
        return Line(True, said, f"may write into the {what}")
    missing = ", ".join(verdict.missing)
    if verdict.well is None:
        return Line(
            None,
            said,
            f"{missing} hangs on a condition",
            f"Let an alarm or a capture file come through once. {_DOCS}",
        )
    return Line(False, said, f"{missing} is not allowed: nothing reaches the {what}", _DOCS)


def _know(account: str) -> dict[str, str]:
    return {"aws:sourceaccount": account}


def _lets_iam_decide(row: Row, account: str) -> bool:
    return any(is_for(row, "AWS", who) for who in (account, f"arn:*:iam::{account}:root")) and (
        list_named(row, _NEEDED) == _NEEDED and not row.get("Condition")
    )
