"""Keys of one's own: whether they are enabled, and whether their policies let in who must use them.

Nothing else tells: where EventBridge may not use the queues' key, events are lost, and the dead-letter queues are under the
same key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from sagewatch.cli.checks import Line, Patient

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
    rows = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    rows = [
        row for row in rows if any(fnmatchcase(arn, str(one)) for one in _as_list(row.get("Resource", "*")))
    ]
    yield _judge_roles(rows, account, stack, name)
    for service, what in services.items():
        yield _judge_service(rows, service, what, account, name)


def _judge_roles(rows: list[Mapping[str, Any]], account: str, stack: str, name: str) -> Line:
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


def _judge_denials(
    rows: list[Mapping[str, Any]], kind: str, whom: tuple[str, ...], account: str, said: str
) -> Line | None:
    """What the policy denies these principals, whatever else allows it; None where that is nothing."""
    hit = [
        (row, _list_named(row)) for row in rows if row["Effect"] == "Deny" and _is_against(row, kind, whom)
    ]
    sure = {one for row, named in hit if _holds_denial(row, account) for one in named}
    perhaps = {one for row, named in hit if _holds_denial(row, account) is None for one in named}
    if not sure | perhaps:
        return None
    told = ", ".join(sorted(sure or perhaps))
    fix = f"No statement that allows it counts against one that denies it: take it out of that one. {_DOCS}"
    if sure:
        return Line(False, said, f"a statement denies {told}", fix)
    return Line(None, said, f"a statement denies {told} under a condition", fix)


def _is_against(row: Mapping[str, Any], kind: str, whom: tuple[str, ...]) -> bool:
    principal = row.get("Principal", {})
    named = ["*"] if principal == "*" else [str(one) for one in _as_list(principal.get(kind, []))]
    # Whose policy it is may be written as a pattern on either side; partitions other than `aws` have ARNs alike.
    plain = [
        ":".join(["arn", "aws", *one.split(":")[2:]]) if one.startswith("arn:") else one for one in named
    ]
    return "NotPrincipal" in row or any(
        fnmatchcase(one, who) or fnmatchcase(who, one) for one in plain for who in whom
    )


def _holds_denial(row: Mapping[str, Any], account: str) -> bool | None:
    """Whether a denial hits calls of this account; None where it hangs on what is not understood here."""
    if "NotPrincipal" in row or "NotResource" in row:
        return None
    condition = row.get("Condition", {})
    # What nearly every policy forbids, and no service does: a call without TLS.
    if any(
        operator == "Bool"
        and {key.lower(): str(value).lower() for key, value in tests.items()}
        == {"aws:securetransport": "false"}
        for operator, tests in condition.items()
    ):
        return False
    return _fits(condition, account)


def _judge_service(rows: list[Mapping[str, Any]], service: str, what: str, account: str, name: str) -> Line:
    said = f"key {name} and {service}"
    if denied := _judge_denials(rows, "Service", (service,), account, said):
        return denied
    granted = [row for row in rows if _is_for(row, "Service", service)]
    sure = {a for row in granted if _fits(row.get("Condition", {}), account) for a in _list_named(row)}
    perhaps = {
        a for row in granted if _fits(row.get("Condition", {}), account) is None for a in _list_named(row)
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
        _list_named(row) == _NEEDED and not row.get("Condition")
    )


def _is_for(row: Mapping[str, Any], kind: str, who: str) -> bool:
    """Whether a statement lets that principal in; ``who`` may be a pattern."""
    if row["Effect"] != "Allow":
        return False
    principal = row.get("Principal", {})
    named = ["*"] if principal == "*" else _as_list(principal.get(kind, []))
    return any(one == "*" or fnmatchcase(one, who) for one in named)


def _list_named(row: Mapping[str, Any]) -> set[str]:
    """Which of the needed actions a statement is about."""
    excepted = "NotAction" in row
    patterns = [str(one).lower() for one in _as_list(row.get("NotAction" if excepted else "Action", []))]
    return {
        one
        for one in _NEEDED
        if any(fnmatchcase(one.lower(), pattern) for pattern in patterns) is not excepted
    }


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
