"""Secrets from Secrets Manager: read when needed, kept in memory, in no log and no environment."""

from __future__ import annotations

from functools import cache

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.errors import ConfigurationError


@cache
def get_secret(name: str) -> str:
    """The secret's string.

    Raises
    ------
    ConfigurationError
        There is no such secret; names it.
    """
    try:
        with sorting_errors():
            answer = build_client("secretsmanager").get_secret_value(SecretId=name)
    except ClientError as error:
        if read_code(error) == "ResourceNotFoundException":
            raise ConfigurationError("does not exist", where="Secrets Manager", key=name) from None
        raise
    return str(answer["SecretString"])
