"""What a deployment needs in the account and does not make, and what it would leave open where nobody is told any more.

Needed are the image of its jobs, and keys of one's own; left open is what was told to a receiver that monitors.yml
names no longer. Nothing of it hinders a deployment, and no deployment tells of it: so it is said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.refused import tell_aws
from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.cli.checks import Line
from sagewatch.cli.checks.image import find_image, name_default_image
from sagewatch.cli.checks.keys import KEYS, find_keys
from sagewatch.cli.checks.receivers import find_left_open
from sagewatch.cli.store import StackNotFoundError, read_outputs
from sagewatch.errors import RetryError
from sagewatch.monitors import Monitors


def look_around(
    template: Mapping[str, Any], account: str, stack: str, session: Any, monitors: Monitors | None = None
) -> list[str]:
    """A sentence for each thing that is missing, may be refused or could not be seen; nothing where all is well."""
    given = {name: one.get("Default", "") for name, one in template.get("Parameters", {}).items()}
    uri = given.get("ExplainImage") or name_default_image(account, session.region_name)
    keys = {name: given.get(name, "") for name in KEYS}
    return [
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


def _tell(what: str, look: Callable[[], Iterable[Line]]) -> Iterator[str]:
    try:
        for line in look():
            if not line.well:
                yield f"{'NOTE' if line.well is None else 'WARNING'}: {line.what}: {line.found}. {line.fix}"
    except (BotoCoreError, ClientError) as error:
        yield f"The {what} not looked at: {tell_aws(error)}"
    except RetryError as error:
        yield f"The {what} not looked at: {error.reason}"
