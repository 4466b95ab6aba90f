"""slack_sdk's client through an opener of ours: its own follows redirects to any host, with the token.

Apart from ``slack``, which is imported where nobody writes to Slack: slack_sdk costs a cold start.
"""

from __future__ import annotations

import urllib.request
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web.file_upload_v2_result import FileUploadV2Result

from sagewatch.aws.deadline import Deadline


class TimelyClient(WebClient):
    """A client whose calls end by a deadline and follow no redirect.

    Parameters
    ----------
    call
        Opens what the client asks for.
    """

    def __init__(self, call: Deadline, **options: Any) -> None:
        super().__init__(**options, retry_handlers=[])
        self._call = call

    def _perform_urllib_http_request_internal(self, url: str, req: urllib.request.Request) -> dict[str, Any]:  # noqa: ARG002
        return self._open(req)

    def _upload_file(self, *, url: str, data: bytes, **_: Any) -> FileUploadV2Result:
        sent = self._open(urllib.request.Request(url, data=data, method="POST"))  # noqa: S310 (only HTTP is opened)
        return FileUploadV2Result(status=sent["status"], body=sent["body"])

    def _open(self, request: urllib.request.Request) -> dict[str, Any]:
        with self._call.open(request, timeout=self.timeout) as answer:
            words = answer.read().decode(answer.headers.get_content_charset() or "utf-8")
            return {"status": answer.status, "headers": answer.headers, "body": words}
