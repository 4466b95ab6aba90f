"""What a resource's own policy lets a service of AWS do, as far as it can be told without asking AWS.

Judged are statements that allow and deny, and conditions on facts that are known here (the account, the rule); of any other
condition it says that it cannot tell. Source: IAM user guide, policy evaluation logic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

Row = Mapping[str, Any]
Facts = Mapping[str, str]
"""What is known of a call, by the condition keys of IAM in small letters, such as ``aws:sourceaccount``."""
_EXACT: Final = "StringEquals"
# ArnEquals takes wildcards as ArnLike does. Source: IAM user guide, condition operators.
_OPERATORS: Final = frozenset({_EXACT, "StringLike", "ArnEquals", "ArnLike"})


class Verdict(msgspec.Struct, frozen=True):
    """Whether a service may do all that it needs; ``well`` is None where a condition hides it.

    Attributes
    ----------
    denied, missing
        Actions that a statement denies, or that none allows for sure.
    """

    well: bool | None
    denied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def judge_service(rows: Iterable[Row], service: str, needed: Collection[str], facts: Facts) -> Verdict:
    """What the statements let a service do.

    Examples
    --------
    >>> row = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    >>> judge_service([row], "events.amazonaws.com", {"sqs:SendMessage"}, {}).well
    True
    >>> judge_service([row], "sns.amazonaws.com", {"sqs:SendMessage"}, {})
    Verdict(well=False, denied=(), missing=('sqs:SendMessage',))
    """
    rows = list(rows)
    sure, perhaps = find_denials(rows, "Service", (service,), needed, facts)
    if sure or perhaps:
        return Verdict(False if sure else None, denied=tuple(sorted(sure or perhaps)))
    granted = [row for row in rows if is_for(row, "Service", service)]
    fitting = [(fits(row.get("Condition", {}), facts), list_named(row, needed)) for row in granted]
    sure = {one for fit, named in fitting if fit for one in named}
    perhaps = {one for fit, named in fitting if fit is None for one in named}
    missing = tuple(sorted(set(needed) - sure))
    return Verdict(not missing or (None if sure | perhaps >= set(needed) else False), missing=missing)


def find_denials(
    rows: Iterable[Row], kind: str, whom: tuple[str, ...], needed: Collection[str], facts: Facts
) -> tuple[set[str], set[str]]:
    """What the statements deny these principals, whatever else allows it: for sure, and under a condition."""
    hit = [
        (_holds_denial(row, facts), list_named(row, needed))
        for row in rows
        if row["Effect"] == "Deny" and _is_against(row, kind, whom)
    ]
    sure = {one for holds, named in hit if holds for one in named}
    return sure, {one for holds, named in hit if holds is None for one in named}


def _is_against(row: Row, kind: str, whom: tuple[str, ...]) -> bool:
    principal = row.get("Principal", {})
    named = ["*"] if principal == "*" else [str(one) for one in as_list(principal.get(kind, []))]
    # Whose policy it is may be written as a pattern on either side; partitions other than `aws` have ARNs alike.
    plain = [
        ":".join(["arn", "aws", *one.split(":")[2:]]) if one.startswith("arn:") else one for one in named
    ]
    return "NotPrincipal" in row or any(
        fnmatchcase(one, who) or fnmatchcase(who, one) for one in plain for who in whom
    )


def _holds_denial(row: Row, facts: Facts) -> bool | None:
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
    return fits(condition, facts)


def is_for(row: Row, kind: str, who: str) -> bool:
    """Whether a statement lets that principal in; ``who`` may be a pattern."""
    if row["Effect"] != "Allow":
        return False
    principal = row.get("Principal", {})
    named = ["*"] if principal == "*" else as_list(principal.get(kind, []))
    return any(one == "*" or fnmatchcase(one, who) for one in named)


def list_named(row: Row, needed: Collection[str]) -> set[str]:
    """Which of the needed actions a statement is about."""
    excepted = "NotAction" in row
    patterns = [str(one).lower() for one in as_list(row.get("NotAction" if excepted else "Action", []))]
    return {
        one
        for one in needed
        if any(fnmatchcase(one.lower(), pattern) for pattern in patterns) is not excepted
    }


def fits(condition: Row, facts: Facts) -> bool | None:
    """Whether a condition holds of a call; None for one that is not understood."""
    for operator, tests in condition.items():
        for key, values in tests.items():
            fact = facts.get(key.lower())
            if operator not in _OPERATORS or fact is None:
                return None
            wanted = [str(one) for one in as_list(values)]
            if (
                fact not in wanted
                if operator == _EXACT
                else not any(fnmatchcase(fact, one) for one in wanted)
            ):
                return False
    return True


def list_rows(policy: Row, resource: str) -> list[Row]:
    """The statements of a policy that are about the resource."""
    return [
        row
        for row in as_list(policy.get("Statement", []))
        if any(fnmatchcase(resource, str(one)) for one in as_list(row.get("Resource", "*")))
    ]


def as_list(value: Any) -> list[Any]:
    """A value that may stand alone or in a list."""
    return value if isinstance(value, list) else [value]
