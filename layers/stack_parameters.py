"""What a stage and the stack's parameters may be, asked before anything is built.

CloudFormation would notice some of it in the middle of a deployment, and some of it nobody: a prefix that no capture
has, a mail address under a name that is no parameter's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import yaml

LONGEST_STAGE: Final = 16
"""The longest bucket name, ``sagewatch-STAGE-evidence-ACCOUNT-REGION``, has 63 letters in the longest region."""
_STAGE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LOG_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
_DAYS: Final = (r"[1-9]\d{0,4}", "must be a number of days, 1 or more")
_MAIL: Final = (
    r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+|",
    "must be one mail address; subscribe others to the topic by hand",
)
_KEY: Final = (
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+|",
    "must be the key's own ARN (…:key/…): roles know no alias",
)
_ROLE: Final = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"


def _list(kind: str, most: int) -> str:
    one = rf"{kind}-[0-9a-f]{{8,17}}"
    return rf"({one}(,{one}){{0,{most - 1}}})?"


_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "captureBucket": (
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|", "must be a bucket's name alone, without s3:// and without a prefix"
    ),
    "capturePrefix": (
        r"[\w.!()-]+(/[\w.!()-]+)*", "must be a key prefix without slashes at its ends and without wildcards, or no capture matches"
    ),
    "alertMail": _MAIL,
    "operationsMail": _MAIL,
    "kmsKeyArn": _KEY,
    "captureKmsKeyArn": _KEY,
    "endpoints": (r"([A-Za-z0-9-]{1,63}(, *[A-Za-z0-9-]{1,63})*)?", "must be names of endpoints, comma-separated"),
    "modelRoleArns": (f"({_ROLE}(,{_ROLE})*)?", "must be ARNs of roles, comma-separated, without spaces"),
    "spokes": (r".*", ""),  # resources/spokes.js says what is wrong, spoke by spoke
    "explainImage": (r"[a-z0-9][\w.:/@-]*|", "must be an image's URI, without https://"),
    "secretPrefix": (r"[\w.-]+(/[\w.-]+)*", "must be the beginning of secrets' names without slashes at its ends, such as sagewatch/prod"),
    "jobSubnets": (_list("subnet", 16), "must be ids of subnets, comma-separated, without spaces, at most 16"),
    "jobSecurityGroups": (_list("sg", 5), "must be ids of security groups, comma-separated, without spaces, at most 5"),
    "jobVolumeKmsKeyArn": _KEY,
    "permissionsBoundary": (
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+|", "must be the ARN of a managed policy (…:policy/…)"
    ),
    "explainInstanceType": (r"ml\.[a-z0-9-]+\.[a-z0-9]+", "must be an instance type of SageMaker, such as ml.m5.large"),
    "monitorsFile": (r".+\.json", "is written by `make package`; say MONITORS=FILE instead"),
    "runbooksUrl": (r"https?://\S+|", "must be an address, http(s)://..."),
    "logLevel": (r"DEBUG|INFO|WARNING|ERROR|CRITICAL", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    "logRetentionDays": ("|".join(map(str, _LOG_DAYS)), f"must be one of CloudWatch's: {', '.join(map(str, _LOG_DAYS))}"),
    "archiveRetentionDays": _DAYS,
    "captureRetentionDays": _DAYS,
    "evidenceRetentionDays": _DAYS,
    "tensorRetentionDays": _DAYS,
    "deletionProtection": (r"true|false", "must be true or false"),
    "canaryMinutes": (r"\d+", "must be a number of minutes; 0 for never"),
    "dataDeletionPolicy": (r"RetainExceptOnCreate|Retain|Delete", "must be RetainExceptOnCreate, Retain or Delete"),
    "eventBus": (r"(?!default$|aws\.)[\w.-]{1,200}", "must be a name of letters, digits, dots, hyphens; not `default`"),
}  # fmt: skip


def resolve_params(text: str, stage: str, given: Sequence[str]) -> list[str]:
    """``name=value`` of each parameter as osls resolves it: the command line before the stage before the default.

    Parameters
    ----------
    text
        Of serverless.yml. What a variable of osls brings there (``${env:...}``) stays as it is written.
    given
        ``name=value`` each, of the command line; one without a value stays for ``find_mistakes`` to refuse.

    Examples
    --------
    >>> resolve_params("params: {default: {a: x, b: 1}, dev: {a: y}}", "dev", ["b=2"])
    ['b=2', 'a=y']
    """
    resolved: dict[str, str] = {}
    for rows in _read_sections(text, ("default", stage)):
        for name, value in rows.items():
            resolved[name] = f"{name}={_spell(value).replace('${sls:stage}', stage)}"
    # `make package ARCHITECTURE=...` says it always, over whatever stands there.
    resolved.pop("architecture", None)
    said = {param.partition("=")[0]: param for param in given}
    return [*said.values(), *(param for name, param in resolved.items() if name not in said)]


def find_own(text: str, others: Sequence[str]) -> frozenset[str]:
    """Parameters that somebody added to serverless.yml: what `${param:...}` reads, and what resembles none of the product's.

    Parameters
    ----------
    text
        Of serverless.yml.
    others
        The texts of the files that it brings in.

    Examples
    --------
    >>> sorted(find_own("params: {default: {team: ml, alertMial: a@b.c}}", []))
    ['team']
    """
    read = {name for one in (text, *others) for name in re.findall(r"\bparam:([\w.-]+)", one)}
    given = {name for rows in _read_sections(text, None) for name in rows}
    own = {name for name in given if not get_close_matches(name, _FORMS, 1)}
    return frozenset((read | own) - _FORMS.keys() - {"architecture"})


def _read_sections(text: str, wanted: Sequence[str] | None) -> list[dict[str, object]]:
    """The sections of ``params:`` in that order, or all; one that a variable brings (``${file(...)}``) may hold any parameter."""
    document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe one)
    params = document.get("params") if isinstance(document, dict) else None
    if isinstance(params, str):
        return [dict.fromkeys(_FORMS, params)]
    sections = params if isinstance(params, dict) else {}
    rows = [sections.get(name) for name in (sections if wanted is None else wanted)]
    known = [dict.fromkeys(_FORMS, one) if isinstance(one, str) else one for one in rows]
    return [{str(name): value for name, value in one.items()} for one in known if isinstance(one, dict)]


class _Loader(yaml.SafeLoader):
    """YAML whose tags are CloudFormation's, which hold no parameter."""


_Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)


def _spell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_written(value: str) -> bool:
    """Whether a value is written out, rather than a variable of osls' that only osls resolves."""
    return "${" not in value


def find_mistakes(stage: str, params: Sequence[str], own: Collection[str] = ()) -> list[str]:
    """A sentence for each parameter that cannot be meant so; none where all is well.

    Parameters
    ----------
    stage
        ``STAGE`` of the command line.
    params
        ``name=value`` each.
    own
        Names that are known beside the product's (`find_own`).

    Examples
    --------
    >>> find_mistakes("prod", ["alertMail=a@example.com"])
    []
    >>> find_mistakes("prod", ["alertMial=a@example.com"])
    ['parameter alertMial: there is none of that name; did you mean alertMail?']
    """
    mistakes = [*_judge_stage(stage)]
    for param in params:
        name, equals, value = param.partition("=")
        if name not in own:
            mistakes += [f"parameter {name}: {why}" for why in _judge(name, value if equals else None)]
    given = {name for name, _, value in (param.partition("=") for param in params) if value}
    for name, other in (("jobSubnets", "jobSecurityGroups"), ("jobSecurityGroups", "jobSubnets")):
        if name in given and other not in given:
            mistakes.append(f"parameter {name}: SageMaker takes it only together with {other}")
    return mistakes


def _judge_stage(stage: str) -> list[str]:
    if len(stage) > LONGEST_STAGE or not _STAGE.fullmatch(stage):
        return [
            f"stage {stage}: must be small letters, digits and hyphens, at most {LONGEST_STAGE}: buckets are named by it"
        ]
    return []


def _judge(name: str, value: str | None) -> list[str]:
    if name == "architecture":
        return ["say ARCHITECTURE=arm64 instead, which fetches the layer's wheels as well"]
    if name not in _FORMS:
        near = get_close_matches(name, _FORMS, 1)
        return [f"there is none of that name{f'; did you mean {near[0]}?' if near else ''}"]
    if value is None:
        return [f"needs a value: {name}=..."]
    form, why = _FORMS[name]
    return [] if not is_written(value) or re.fullmatch(form, value) else [f"{why} (it is {value!r})"]
