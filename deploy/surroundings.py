"""What a deployment needs in the account and does not make, and what it would leave open where nobody is told any more.

Needed are the image of its jobs, and keys of one's own; left open is what was told to a receiver that monitors.yml
names no longer. Nothing of it hinders a deployment, and no deployment tells of it: so it is said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.refused import tell_aws
from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.cli.checks import Line
from sagewatch.cli.checks.image import find_image, name_default_image
from sagewatch.cli.checks.keys import KEYS, find_keys
from sagewatch.cli.checks.receivers import find_left_open
from sagewatch.cli.store import StackNotFoundError, read_outputs
from sagewatch.errors import SagewatchError
from sagewatch.monitors import Monitors

SERVICES = (
    "cloudformation", "cloudwatch", "dynamodb", "events", "iam", "lambda", "logs", "s3", "sagemaker", "scheduler", "sns", "sqs",
)  # fmt: skip


def look_around(
    template: Mapping[str, Any], account: str, stack: str, session: Any, monitors: Monitors | None = None
) -> list[str]:
    """A sentence for each thing that is missing, may be refused or could not be seen; nothing where all is well."""
    given = {name: one.get("Default", "") for name, one in template.get("Parameters", {}).items()}
    uri = given.get("ExplainImage") or name_default_image(account, session.region_name)
    keys = {name: given.get(name, "") for name in KEYS}
    return [
        *_tell_services(session),
        *_tell("image of the jobs was", lambda: [find_image(session.client, uri)]),
        *_tell("keys were", lambda: find_keys(session.client, keys, account, stack)),
        *_tell("receivers were", lambda: _find_left_open(stack, session, monitors)),
    ]


def _find_left_open(stack: str, session: Any, monitors: Monitors | None) -> Iterator[Line]:
    """Nothing where the stack is new: nobody was told of anything."""
    if monitors is None:
        return
    try:
        outputs = read_outputs(stack, session)
    except StackNotFoundError:
        return
    if "StateTable" in outputs:
        yield from find_left_open(monitors, DynamoItems(outputs["StateTable"], session.client("dynamodb")))


def tell_region(session: Any, error: Exception) -> str:
    """What a region that nobody answers in may be: misspelt, most likely."""
    known = sorted(
        {
            one
            for partition in session.get_available_partitions()
            for one in session.get_available_regions("sts", partition)
        }
    )
    near = get_close_matches(session.region_name, known, 1)
    meant = f" Did you mean {near[0]}?" if near and session.region_name not in known else ""
    return f"Nobody answers in {session.region_name}: {error}.{meant} Set REGION, or look at the network."


def find_missing(region: str, session: Any) -> list[str]:
    """Services of the stack that AWS does not offer in a region, as far as this botocore knows; none of a region that it does not know."""
    offered = {
        one: {
            r for part in session.get_available_partitions() for r in session.get_available_regions(one, part)
        }
        for one in SERVICES
    }
    if not any(region in regions for regions in offered.values()):
        return []
    return [one for one, regions in offered.items() if regions and region not in regions]


def _tell_services(session: Any) -> Iterator[str]:
    if missing := find_missing(session.region_name, session):
        yield (
            f"WARNING: {session.region_name} has no {', '.join(missing)}, as far as this SDK knows: CloudFormation would fail in the middle, "
            "and put everything back. Take another REGION."
        )


def _tell(what: str, look: Callable[[], Iterable[Line]]) -> Iterator[str]:
    try:
        for line in look():
            if not line.well:
                yield f"{'NOTE' if line.well is None else 'WARNING'}: {line.what}: {line.found}. {line.fix}"
    except (BotoCoreError, ClientError) as error:
        yield f"The {what} not looked at: {tell_aws(error)}"
    except SagewatchError as error:
        yield f"The {what} not looked at: {error}"
