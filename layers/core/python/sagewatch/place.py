"""Where an endpoint is, and what it is called here: a name that no two endpoints of several accounts share."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_NAME: Final = "[A-Za-z0-9](?:-*[A-Za-z0-9]){0,62}"
_AT_HOME: Final = re.compile(_NAME)
# No name of an endpoint has a dot, so what has one is elsewhere.
_ELSEWHERE: Final = re.compile(
    rf"(?P<name>{_NAME})\.(?P<account>\d{{12}})\.(?P<region>[a-z]{{2,4}}(?:-[a-z]+)+-\d)"
)


class Place(msgspec.Struct, frozen=True):
    """The account and region in which something happens."""

    account: str
    region: str


def name_console(region: str) -> str:
    """Host of the AWS console that shows a region.

    Examples
    --------
    >>> name_console("eu-west-1"), name_console("cn-north-1"), name_console("us-gov-west-1")
    ('eu-west-1.console.aws.amazon.com', 'cn-north-1.console.amazonaws.cn', 'us-gov-west-1.console.amazonaws-us-gov.com')
    """
    china, government = region.startswith("cn-"), region.startswith("us-gov-")
    host = "amazonaws.cn" if china else "amazonaws-us-gov.com" if government else "aws.amazon.com"
    return f"{region}.console.{host}"


def name_registry(account: str, region: str) -> str:
    """Host of an account's image registry (ECR) in a region. Source: botocore's partitions.json.

    Examples
    --------
    >>> name_registry("123456789012", "eu-west-1"), name_registry("123456789012", "cn-north-1")
    ('123456789012.dkr.ecr.eu-west-1.amazonaws.com', '123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn')
    """
    suffixes = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
    return f"{account}.dkr.ecr.{region}.{suffixes.get(region.partition('-')[0], 'amazonaws.com')}"


def is_endpoint(endpoint: str) -> bool:
    """Whether it can be what an endpoint is called here.

    Examples
    --------
    >>> is_endpoint("signs"), is_endpoint("signs.210987654321.eu-west-1"), is_endpoint("signs.elsewhere")
    (True, True, False)
    """
    return bool(_AT_HOME.fullmatch(endpoint) or _ELSEWHERE.fullmatch(endpoint))


def is_elsewhere(endpoint: str) -> bool:
    """Whether an endpoint is in another account or region: it is watched, never touched."""
    return "." in endpoint


def name_endpoint(name: str, place: Place | None, home: Place) -> str:
    """What an endpoint is called here: its own name at home (or where the place is not told), else with its place.

    Examples
    --------
    >>> home = Place("123456789012", "eu-central-1")
    >>> name_endpoint("signs", home, home), name_endpoint("signs", Place("210987654321", "eu-west-1"), home)
    ('signs', 'signs.210987654321.eu-west-1')
    """
    return name if place in (None, home) else f"{name}.{place.account}.{place.region}"


def find_place(endpoint: str, home: Place) -> Place:
    """The account and region of what is called so here.

    Examples
    --------
    >>> find_place("signs.210987654321.eu-west-1", Place("123456789012", "eu-central-1"))
    Place(account='210987654321', region='eu-west-1')
    """
    found = _ELSEWHERE.fullmatch(endpoint)
    return Place(found["account"], found["region"]) if found else home
