"""Parameters of SSM, decrypted. Source: SSM API reference, GetParameter."""

from __future__ import annotations

from botocore.config import Config
from botocore.exceptions import ClientError

from sagewatch.aws.client import CONFIG, build_client, read_code, sorting_errors
from sagewatch.errors import ConfigurationError


def get_parameter(name: str, patience: Config = CONFIG) -> str:
    """The parameter's value.

    Raises
    ------
    ConfigurationError
        There is no such parameter, or it may not be read; names it.
    """
    try:
        with sorting_errors():
            answer = build_client("ssm", patience).get_parameter(Name=name, WithDecryption=True)
    except ClientError as error:
        if read_code(error) in {"ParameterNotFound", "AccessDeniedException"}:
            raise ConfigurationError("does not exist or may not be read", where="SSM", key=name) from None
        raise ConfigurationError(f"cannot be read ({read_code(error)})", where="SSM", key=name) from None
    return str(answer["Parameter"]["Value"])
