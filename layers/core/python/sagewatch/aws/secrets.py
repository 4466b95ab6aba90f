"""Secrets from Secrets Manager and SSM: read when needed, known for five minutes, in no log and no environment.

A name that begins with ``ssm:`` is a parameter's (SecureString, decrypted); any other a secret's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.aws.parameters import get_parameter
from sagewatch.errors import ConfigurationError

KNOWN_FOR: Final = timedelta(minutes=5)
"""A secret that was rotated is picked up after this at the latest."""

ASKED_AGAIN_AFTER: Final = timedelta(seconds=10)
"""Refreshing does not ask more often: whoever sends bad signatures must not run up a bill."""

_PARAMETER: Final = "ssm:"


class Secrets:
    """The secrets that a process knows, each with its age.

    Parameters
    ----------
    now
        The clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[str, tuple[datetime, str]] = {}

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._known))})"

    def get_secret(self, name: str) -> str:
        """The secret's string, at most five minutes old.

        Raises
        ------
        ConfigurationError
            There is no such secret, it may not be read, or it is empty; names it.
        """
        return self._get(name, KNOWN_FOR)

    def refresh_secret(self, name: str) -> str:
        """The secret's string as it is now, for whoever was refused with the known one."""
        return self._get(name, ASKED_AGAIN_AFTER)

    def _get(self, name: str, at_most: timedelta) -> str:
        now = self._now()
        known = self._known.get(name)
        if known is not None and now - known[0] < at_most:
            return known[1]
        value = get_parameter(name.removeprefix(_PARAMETER)) if name.startswith(_PARAMETER) else _ask(name)
        if not value.strip():
            # With an empty one anybody could sign, and nobody would be let in.
            raise ConfigurationError("is empty", where="secret", key=name)
        self._known[name] = (now, value)
        return value


def _ask(name: str) -> str:
    try:
        with sorting_errors():
            answer = build_client("secretsmanager").get_secret_value(SecretId=name)
    except ClientError as error:
        if read_code(error) in {"ResourceNotFoundException", "AccessDeniedException"}:
            raise ConfigurationError(
                "does not exist or may not be read", where="Secrets Manager", key=name
            ) from None
        raise
    return str(answer["SecretString"])
