"""Why a deployment was not begun, or AWS would not answer: a sentence, never a traceback."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError


class RefusedError(Exception):
    """It was not begun, or osls failed; the message says why, and what to do."""


class DoneError(Exception):
    """It was done, and something is left: what could not be looked at afterwards, or what a person must put right."""

    exit_code = 3


_RIGHTS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})


# What IAM's message names where no policy of one's own helps. Source: IAM user guide, access denied error messages.
_ABOVE = {
    "service control policy": "Your organization denies it to everybody in the account: ask whoever keeps its service control policies",
    "resource control policy": "Your organization denies it on its resources: ask whoever keeps its resource control policies",
    "permissions boundary": "The boundary of who runs this leaves it out: ask whoever set it",
}


def tell_aws(error: BotoCoreError | ClientError) -> str:
    """Which call AWS refused and what it said; for a missing right, who must get it.

    Examples
    --------
    >>> said = {"Error": {"Code": "AccessDenied", "Message": "User: ada is not authorized to perform: s3:ListBucket"}}
    >>> tell_aws(ClientError(said, "HeadBucket"))[:83]
    'AWS refused HeadBucket: User: ada is not authorized to perform: s3:ListBucket. Who '
    """
    if not isinstance(error, ClientError):
        return f"AWS could not be asked: {error}"
    said = error.response["Error"]
    message = said.get("Message", said.get("Code", "")).rstrip(".")
    if said.get("Code") in _RIGHTS:
        for word, who in _ABOVE.items():
            if word in message:
                return (
                    f"AWS refused {error.operation_name}: {message}. {who}; nothing was changed by this call."
                )
        return (
            f"AWS refused {error.operation_name}: {message}. Who runs this needs that right "
            '(docs/deploy.md, "Who may deploy"); nothing was changed by this call.'
        )
    return f"AWS answered {error.operation_name} with {said.get('Code')}: {message}."
