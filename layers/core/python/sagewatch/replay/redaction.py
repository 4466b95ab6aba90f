"""Recorded events as fixtures: what identifies an account or a caller is taken out, the shape stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from sagewatch.replay.jobs import JobRecord, KeptJob
from sagewatch.replay.scene import Scene

ACCOUNT = "111122223333"
ELSEWHERE = "444455556666"
_HIDDEN = frozenset(
    {"requester", "source-ip-address", "request-id", "sequencer", "RoleArn", "ExecutionRoleArn", "by"}
)
_VALUES_HIDDEN = frozenset({"Environment", "Tags"})
REDACTED = "redacted"
# What a job says may quote a captured record, and what it is called with a password: in no recording, whatever is asked.
_TEXTS = frozenset({"ExitMessage", "FailureReason", "ContainerArguments", "ContainerEntrypoint"})


# Fields that name an account, ARNs, endpoints of elsewhere by their names here, images, addresses of queues.
_NUMBERS = re.compile(
    r'"[A-Za-z]*[Aa]ccount(?:_?[Ii]d)?" ?: ?"(\d{12})"|'
    r"\barn:[a-z-]+:[a-z0-9-]*:[a-z0-9-]*:(\d{12}):|"
    r"\.(\d{12})\.[a-z]{2,4}(?:-[a-z]+)+-\d|"
    r"(?<!\d)(\d{12})\.dkr\.ecr\.|"
    r"\.amazonaws\.com(?:\.cn)?/(\d{12})/"
)
# What has buckets' names: addresses of objects, ARNs of buckets, the events' field.
_BUCKETS = re.compile(
    r"\bs3://([a-z0-9.-]+)|\barn:[a-z-]+:s3:::([a-z0-9.-]+)|\b([a-z0-9.-]+)\.s3[a-z0-9.-]*\.amazonaws\.com|"
    r'"bucket" ?: ?{[^{}]*?"name" ?: ?"([a-z0-9.-]+)"|"[A-Za-z_]*[Bb]ucket(?:_?[Nn]ame)?" ?: ?"([a-z0-9.-]+)"'
)
_NUMBER = re.compile(r"(?<!\d)\d{12}(?!\d)")


def redact(event: dict[str, Any], stand_ins: Mapping[str, str]) -> dict[str, Any]:
    """The event without account, callers, people, roles, environment and tags.

    What jobs say and are called with is hidden as well (``hide_texts``).

    Parameters
    ----------
    stand_ins
        Of every account of the recording (``find_stand_ins``): what is of another one than home stays told apart.

    Examples
    --------
    >>> redact({"account": "210987654321", "detail": {"by": "ann"}}, {"210987654321": "444455556666"})
    {'account': '444455556666', 'detail': {'by': 'redacted'}}
    """
    return dict(_walk(json.loads(replace_accounts(json.dumps(hide_texts(event)), stand_ins))))


def redact_scene(scene: Scene) -> Scene:
    """The scene with the account taken out of it, as ``redact`` takes it out of the events.

    Examples
    --------
    >>> redact_scene(Scene(account="123456789012", capture_bucket="captures-123456789012")).capture_bucket
    'captures-111122223333'
    """
    text = replace_accounts(msgspec.json.encode(scene).decode(), find_stand_ins(scene))
    kept = msgspec.json.decode(text, type=Scene)
    return kept if scene.account else msgspec.structs.replace(kept, account=ACCOUNT)


def find_stand_ins(
    scene: Scene, events: Iterable[dict[str, Any]] = (), jobs: Iterable[KeptJob] = ()
) -> dict[str, str]:
    """A number in place of each account that the recording names: the same for equal ones, another for others.

    Home's is always ``ACCOUNT``; those of the scene do not hang on the events and jobs.

    Examples
    --------
    >>> find_stand_ins(Scene(account="123456789012"), [{"endpoint": "signs.210987654321.eu-west-1"}])
    {'123456789012': '111122223333', '210987654321': '444455556666'}
    """
    home = {scene.account: ACCOUNT} if scene.account else {}
    ours = _NUMBER.findall(f"{scene.capture_bucket} {scene.evidence_bucket}")
    texts = chain(map(json.dumps, events), chain.from_iterable(map(_list_texts, jobs)))
    named = {account for text in texts for account in find_accounts(text)}
    others = [one for one in dict.fromkeys([*ours, *sorted(named)]) if one not in home]
    return home | {one: str(int(ELSEWHERE) + number) for number, one in enumerate(others)}


def find_accounts(text: str) -> set[str]:
    """The accounts that a text names: where AWS puts them, and in the names of buckets; other twelve digits are none.

    Examples
    --------
    >>> sorted(find_accounts('{"uri": "s3://logs-210987654321/202611211200", "n": 999999999999}'))
    ['210987654321']
    """
    buckets = " ".join(max(found) for found in _BUCKETS.findall(text))
    return {max(found) for found in _NUMBERS.findall(text)} | set(_NUMBER.findall(buckets))


def _list_texts(job: KeptJob) -> Iterator[str]:
    """All that a recording keeps of a job."""
    yield msgspec.json.encode(job.record).decode()
    for body in job.files.values():
        yield body.decode("latin-1")


def replace_accounts(text: str, stand_ins: Mapping[str, str]) -> str:
    """The text with every account's stand-in in its place; in one pass, for one may be another's stand-in."""
    if not stand_ins:
        return text
    return re.sub("|".join(map(re.escape, stand_ins)), lambda found: stand_ins[found[0]], text)


def hide_texts(value: Any) -> Any:
    """An event, or a part of it, without what jobs say and are called with; ``redact`` hides that, too.

    Examples
    --------
    >>> hide_texts({"ExitMessage": "row 5: ann", "AppSpecification": {"ContainerArguments": ["--key", "x"]}})
    {'ExitMessage': 'redacted', 'AppSpecification': {'ContainerArguments': ['redacted', 'redacted']}}
    """
    if isinstance(value, dict):
        return {
            key: _hide_text(inside) if key in _TEXTS else hide_texts(inside) for key, inside in value.items()
        }
    return [hide_texts(one) for one in value] if isinstance(value, list) else value


def _hide_text(value: Any) -> Any:
    return [REDACTED] * len(value) if isinstance(value, list) else value and REDACTED


def redact_job(job: KeptJob, stand_ins: Mapping[str, str]) -> KeptJob:
    """A monitoring job with the accounts taken out of it and of its report, as ``redact`` takes them out of the events."""
    record = replace_accounts(msgspec.json.encode(job.record).decode(), stand_ins)
    files = {
        replace_accounts(name, stand_ins): replace_accounts(body.decode("latin-1"), stand_ins).encode(
            "latin-1"
        )
        for name, body in job.files.items()
    }
    return KeptJob(msgspec.json.decode(record, type=JobRecord), files)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hide(key, inside) for key, inside in value.items()}
    return [_walk(one) for one in value] if isinstance(value, list) else value


def _hide(key: str, value: Any) -> Any:
    if key in _HIDDEN:
        return REDACTED
    if key in _VALUES_HIDDEN and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    return _walk(value)
