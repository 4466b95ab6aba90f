"""Pages of a List operation: filtered by name and status, sorted, cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.protocol import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = 100


def build_page(
    request: Mapping[str, Any],
    summaries: Sequence[dict[str, Any]],
    *,
    answer_key: str,
    name_key: str,
    status_key: str | None = None,
) -> dict[str, Any]:
    """One page of a List operation's answer.

    Parameters
    ----------
    request
        Its NameContains, StatusEquals, SortBy, SortOrder, MaxResults and NextToken are honoured.
    summaries
        Everything there is.
    answer_key, name_key, status_key
        What the answer, a name and a status are called in this operation.
    """
    found = [item for item in summaries if request.get("NameContains", "").lower() in item[name_key].lower()]
    if status_key and "StatusEquals" in request:
        found = [item for item in found if item[status_key] == request["StatusEquals"]]
    sort_by = name_key if request.get("SortBy") == "Name" else "CreationTime"
    found.sort(key=lambda item: item[sort_by], reverse=request.get("SortOrder", "Descending") == "Descending")
    try:
        first = int(request.get("NextToken", "0"))
    except ValueError as error:
        raise refused("Invalid NextToken") from error
    last = first + int(request.get("MaxResults", PAGE))
    answer: dict[str, Any] = {answer_key: found[first:last]}
    if last < len(found):
        answer["NextToken"] = str(last)
    return answer
