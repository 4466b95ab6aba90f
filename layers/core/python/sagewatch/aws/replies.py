"""Answers that only the person who pressed a button sees: posted to the address that Slack gave with the press.

Source: Slack, "Handling user interaction" (response_url: five answers within thirty minutes).
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Iterable

from sagewatch.aws.deadline import Deadline
from sagewatch.errors import RetryError

_TIMEOUT_SECONDS = 1  # Slack waits three seconds in all
_SLACK = "hooks.slack.com"


class SlackReplies:
    """Posts to Slack's response addresses.

    Parameters
    ----------
    api_urls
        Addresses of other Slack-like servers that monitors.yml names; answers may go to their hosts too.
    """

    def __init__(self, api_urls: Iterable[str]) -> None:
        self._hosts = {_SLACK} | {urllib.parse.urlsplit(url).netloc for url in api_urls}

    def answer_privately(self, url: str, words: str) -> None:
        """Post; ``RetryError`` where it was not taken."""
        if not self._is_slacks(url):
            raise RetryError("not_an_address_of_slack")
        body = json.dumps({"response_type": "ephemeral", "replace_original": False, "text": words}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 (checked)
            with Deadline(_TIMEOUT_SECONDS) as call, call.open(request, timeout=_TIMEOUT_SECONDS):
                return
        except (OSError, http.client.HTTPException) as error:
            raise RetryError(type(error).__name__) from None

    def _is_slacks(self, url: str) -> bool:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError:
            return False
        return parts.netloc in self._hosts and parts.scheme in {"https", "http"}
