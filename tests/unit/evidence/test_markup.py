from __future__ import annotations

import pytest

from sagewatch.evidence.markup import UnsafeUrlError, escape, foreign, join, tag


def test_text_cannot_become_markup():
    assert tag("p", "<b>", ["&", tag("i", '"')], None) == "<p>&lt;b&gt;&amp;<i>&quot;</i></p>"


def test_attribute_cannot_be_left():
    assert tag("p", title="\" onclick='x'") == '<p title="&quot; onclick=&#x27;x&#x27;"></p>'


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JavaScript:x", " https://x", "//x", "data:text/html,x", "x.html"]
)
def test_address_that_a_browser_might_run_is_refused(url):
    with pytest.raises(UnsafeUrlError):
        tag("a", "x", href=url)


def test_text_that_cannot_be_encoded_or_shown_is_replaced():
    assert escape("\ud800\x00") == "?\N{REPLACEMENT CHARACTER}"


def test_foreign_name_is_cut_and_isolated():
    assert foreign("a\u202eb" * 100, 5) == "<bdi>abab…</bdi>"


def test_join_of_nothing_is_empty():
    assert join(None) == ""
