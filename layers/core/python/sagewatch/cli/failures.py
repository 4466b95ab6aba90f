"""What a command says where AWS did not do it: what is wrong, and what to do; never that something is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sagewatch.errors import ConflictError

if TYPE_CHECKING:
    from sagewatch.errors import RetryError

# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, and S3's and STS's own.
_NOT_TAKEN: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"}
)
_SIGN_IN: Final = "sign in again (`aws sso login`, or new keys), or name a profile with AWS_PROFILE."


def tell_aws_failure(error: Exception) -> str:
    """What an error of AWS's library means to whoever typed the command."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", "")).rstrip(".")
        if code in _NOT_TAKEN:
            return f"AWS does not take these credentials ({code}: {message}): {_SIGN_IN}"
        if code in _DENIED:
            return (
                f"AWS refuses you {error.operation_name}: {message or code}. "
                "Ask for that right, or name a profile that has it with AWS_PROFILE."
            )
        return f"AWS said no: {error}"
    if isinstance(error, aws.NoRegionError):
        return "No region is named: set AWS_DEFAULT_REGION."
    if isinstance(
        error,
        aws.NoCredentialsError
        | aws.PartialCredentialsError
        | aws.CredentialRetrievalError
        | aws.TokenRetrievalError
        | aws.SSOError,
    ):
        return f"There are no credentials to ask AWS with ({str(error).rstrip('.')}): {_SIGN_IN}"
    if isinstance(error, aws.ConnectionError | aws.HTTPClientError):
        told_so = str(error).rstrip(".")
        return f"AWS was not reached: {told_so}. Look at the network (VPN, proxy), at the region and at AWS_ENDPOINT_URL."
    return f"AWS was not asked: {error}"


def tell_retry(error: RetryError) -> str:
    """What could not be done now, and whether it may have been done all the same."""
    if isinstance(error, ConflictError):
        return "Somebody else changed it at this very moment. Try again."
    perhaps = (
        " It may have been done all the same: look before you do it again." if error.perhaps_taken else ""
    )
    return f"AWS did not answer, or has too much to do ({error}).{perhaps} Try again in a minute; if it stays so, look at the network."
