"""Secrets from Secrets Manager and SSM: read when needed, known for five minutes, in no log and no environment.

A name that begins with ``ssm:`` is a parameter's (SecureString, decrypted); any other a secret's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from botocore.config import Config
from botocore.exceptions import ClientError

from sagewatch.aws.client import BRISK, build_client, read_code, sorting_errors
from sagewatch.aws.parameters import get_parameter
from sagewatch.errors import ConfigurationError, RetryError

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
    patience
        How long to wait for an answer.
    """

    def __init__(self, now: Callable[[], datetime], patience: Config = BRISK) -> None:
        self._now = now
        self._patience = patience
        self._known: dict[str, tuple[datetime, str]] = {}

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._known))})"

    def get_secret(self, name: str) -> str:
        """The secret's string, at most five minutes old.

        Raises
        ------
        ConfigurationError
            There is no such secret, it cannot be read, or it is empty; names it.
        RetryError
            The store did not answer.
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
        value = self._ask(name)
        if not value.strip():
            # With an empty one anybody could sign, and nobody would be let in.
            raise ConfigurationError("is empty", where="secret", key=name)
        self._known[name] = (now, value)
        return value

    def _ask(self, name: str) -> str:
        try:
            if name.startswith(_PARAMETER):
                return get_parameter(name.removeprefix(_PARAMETER), self._patience)
            return _get_secret_value(name, self._patience)
        except RetryError as error:
            # The store was asked, and nobody was sent anything: no message can have been taken by that.
            raise RetryError(error.reason, after_seconds=error.after_seconds) from error


def _get_secret_value(name: str, patience: Config) -> str:
    try:
        with sorting_errors():
            answer = build_client("secretsmanager", patience).get_secret_value(SecretId=name)
    except ClientError as error:
        if read_code(error) in {"ResourceNotFoundException", "AccessDeniedException"}:
            raise ConfigurationError(
                "does not exist or may not be read", where="Secrets Manager", key=name
            ) from None
        # Its key is disabled, it waits for its deletion, its name is none: somebody must mend it.
        raise ConfigurationError(
            f"cannot be read ({read_code(error)})", where="Secrets Manager", key=name
        ) from None
    if "SecretString" not in answer:
        raise ConfigurationError(
            "is binary; it must hold its value as text", where="Secrets Manager", key=name
        )
    return str(answer["SecretString"])
