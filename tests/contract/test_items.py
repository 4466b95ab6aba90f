"""The state table behaves the same in memory and in DynamoDB."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from sagewatch.errors import ConflictError
from sagewatch.memory.items import MemoryItems
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write
from tests.aws_in_process import dynamo_items
from tests.quick_moto import quick_moto


@pytest.fixture(params=["memory", "aws", "quick aws"])
def items(request):
    if request.param == "memory":
        yield MemoryItems()
        return
    with quick_moto() if request.param == "quick aws" else nullcontext(), dynamo_items() as items:
        yield items


def test_what_is_written_is_read_back_whole(items):
    item = Item("stream#a", "segment#1", b"\x00\xff not text", 1, 1_900_000_000)
    items.write([Write(item)])
    assert items.get("stream#a", "segment#1") == item
    assert items.get("stream#a", "segment#2") is None


def test_a_json_body_is_read_back_byte_for_byte(items):
    item = Item("a", "b", '{"text":"Überholverbot \\u0000"}'.encode())
    items.write([Write(item)])
    assert items.get("a", "b") == item


def test_a_row_that_must_be_absent_is_written_once(items):
    items.write([Write(Item("a", "b", b"{}"), ABSENT)])
    with pytest.raises(ConflictError):
        items.write([Write(Item("a", "b", b"{}"), ABSENT)])


def test_a_write_that_names_an_old_version_is_refused(items):
    items.write([Write(Item("a", "b", b"{}", 1))])
    items.write([Write(Item("a", "b", b"{}", 2), 1)])
    with pytest.raises(ConflictError):
        items.write([Write(Item("a", "b", b"{}", 2), 1)])


def test_an_unconditional_write_replaces_whatever_is_there(items):
    items.write([Write(Item("a", "b", b"{}", 7))])
    items.write([Write(Item("a", "b", b"[1]", 1), ANY_VERSION)])
    assert items.get("a", "b") == Item("a", "b", b"[1]", 1)


def test_of_several_writes_all_happen_or_none(items):
    items.write([Write(Item("a", "taken", b"{}"))])
    with pytest.raises(ConflictError):
        items.write([Write(Item("a", "fresh", b"{}")), Write(Item("a", "taken", b"{}"), ABSENT)])
    assert items.get("a", "fresh") is None


def test_a_partition_is_read_in_order_of_its_sort_key(items):
    for sk in ("b#2", "a#1", "c#3", "b#1"):
        items.write([Write(Item("p", sk, b"{}"))])
    items.write([Write(Item("other", "b#0", b"{}"))])
    assert [row.sk for row in items.query("p")] == ["a#1", "b#1", "b#2", "c#3"]
    assert [row.sk for row in items.query("p", "b#", "b#\U0010ffff")] == ["b#1", "b#2"]


def test_a_partition_larger_than_a_page_is_read_whole(items):
    for n in range(30):
        items.write([Write(Item("p", f"{n:03d}", bytes(100_000)))])
    assert [row.sk for row in items.query("p")] == [f"{n:03d}" for n in range(30)]


def test_a_row_is_deleted_only_in_the_version_that_was_named(items):
    items.write([Write(Item("a", "b", b"{}", 1))])
    with pytest.raises(ConflictError):
        items.delete("a", "b", 2)
    items.delete("a", "b", 1)
    assert items.get("a", "b") is None
