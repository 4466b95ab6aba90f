"""Whatever an input looks like: no value under a sensitive name is ever shown."""

from __future__ import annotations

import base64
import csv
import io
import json
import urllib.parse

from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.evidence.redaction import redact_text
from sagewatch.evidence.report_redaction import redact_report

SECRETS = ("SECRET", "79098-SECRET", "c 47 SECRET")
PLAIN = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.text(max_size=8).filter(lambda text: text.isalpha() and not text.isascii()),  # no base64
)
SECRET = st.one_of(
    st.sampled_from(SECRETS),
    st.lists(st.sampled_from(SECRETS), min_size=1, max_size=3),
    st.fixed_dictionaries({"value": st.sampled_from(SECRETS)}),
)
SENSITIVE_KEYS = st.sampled_from(
    ["customer_id", "Customer-ID", "customerId", " customer id ", "billing.customer_id.hash", "CUSTOMER_ID",
     "customer_id[0]", "customer_id=SECRET", "billing.CUSTOMERID", "HTTPCustomerID", "customer_ids", "customerIds",
     "customer_id2", "myCustomerid"]
)  # fmt: skip
OTHER = st.sampled_from(["age", "plan", "features", "instances", "inputs", "x", "body", "data", "payload"])


def _as_csv(rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@st.composite
def shapes(draw):
    """A document with a sensitive field and another one, in one of the shapes in which clients write them."""
    key, secret, other, plain = draw(SENSITIVE_KEYS), draw(SECRET), draw(OTHER), draw(PLAIN)
    naming = draw(st.sampled_from(["name", "key", "field", "feature", "k", "0", "path"]))
    holding = draw(st.sampled_from(["value", "values", "data", "v", "1"]))
    position = draw(
        st.sampled_from(["f1", "x3", "_c1", "Column1", "feature_1", "features", "input", "body", "raw text"])
    )
    named = {key: secret, other: plain}
    table = {"columns": [other, key], "data": [[plain, secret]] * draw(st.integers(1, 3))}
    return draw(
        st.sampled_from(
            [
                named,
                {other: named},
                [named, {other: plain}],
                {"columns": [key, other], "index": [0], "data": [[secret, plain]]},
                {"columns": [key, other], "data": [[secret, secret], [plain, plain]]},
                {"dataframe_split": table},
                {"instances": [[plain, secret]]},
                {"instances": [{"features": [plain, secret]}]},
                {other: [secret]},
                {"features": [{holding: plain}, {holding: "SECRET"}]},
                {"instances": {"0": plain, "1": "SECRET"}},
                {naming: key, holding: secret},
                {"inputs": [{naming: key, holding: secret}, {naming: other, holding: plain}]},
                {"inputs": [{"name": key, "datatype": "BYTES", "shape": [1], "data": [secret]}]},
                {naming: [key, other], holding: [secret, plain]},
                {naming: [key], holding: "SECRET"},
                {naming: {"is": key}, holding: "SECRET"},
                {"fields": [{naming: key}], "row": {holding: "SECRET"}},
                [{naming: key}, {holding: "SECRET"}],
                [[key, other], [secret, plain]],
                [[key, secret], [other, plain]],
                {other: f"{key}: SECRET"},
                {other: "30,SECRET"},
                {other: "30 SECRET", key: "SECRET"},
                {f"{key}_SECRET": True},
                {key: {"SECRET": 1}},
                {other: {"0": plain}, key: {"0": secret}},
                {position: "SECRET", "age": 30},
                {"rows": [{position: "SECRET"}]},
                {"columns": ["age", position], "data": [[30, "SECRET"]]},
            ]
        )
    )


def _encode(document, how):
    text = json.dumps(document)
    match how:
        case "lines":
            return f"{text}\n{text}\n"
        case "escaped":
            return json.dumps({"body": text})
        case "twice":
            return json.dumps({"body": json.dumps({"body": text})})
        case "base64":
            return json.dumps({"body": base64.urlsafe_b64encode(text.encode()).decode()})
        case "form":
            return urllib.parse.urlencode({"body": text})
        case "csv":
            return json.dumps({"body": _as_csv([["customer_id", "age"], ["SECRET", 30]])})
        case "deep":
            return '{"a":' * 60 + text + "}" * 60
        case "indented":
            return json.dumps(document, indent=2)
    return text


@settings(max_examples=600, deadline=None)
@given(
    shapes(),
    st.sampled_from(["plain", "lines", "escaped", "twice", "base64", "form", "csv", "deep", "indented"]),
)
def test_no_value_under_a_sensitive_name_is_ever_shown(document, how):
    assert "SECRET" not in redact_text(_encode(document, how), ["customer_id"])


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.sampled_from(SECRETS), lambda inner: st.lists(inner) | st.dictionaries(SENSITIVE_KEYS, inner)
    )
)
def test_nothing_that_stands_under_no_other_name_is_shown(document):
    assert "SECRET" not in redact_text(json.dumps(document), ["customer_id"])


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789abcdef", min_size=6), st.sampled_from(["", "-", ". "]), st.booleans())
def test_a_redacted_value_is_not_shown_elsewhere_in_another_spelling(value, separator, upper):
    respelled = separator.join(value[n : n + 3] for n in range(0, len(value), 3))
    respelled = respelled.upper() if upper else respelled
    shown = redact_text(json.dumps({"customer_id": value, "seen before": respelled}), ["customer_id"])
    assert respelled not in shown


@settings(max_examples=300, deadline=None)
@given(SENSITIVE_KEYS | st.sampled_from(["_c0", "instances_0_1", "Column 3", "value", "0"]))
def test_a_report_shows_no_column_that_is_sensitive_or_could_be(name):
    kept = {
        "name": "age",
        "string_statistics": {"distribution": {"categorical": {"buckets": [{"value": "30"}]}}},
    }
    secret = {
        "name": name,
        "string_statistics": {"distribution": {"categorical": {"buckets": [{"value": "SECRET"}]}}},
    }
    broken = {"feature_name": name, "constraint_check_type": "domain", "description": "unknown: SECRET"}
    shown = redact_report({"features": [kept, secret], "violations": [broken]}, ["customer_id"])
    assert "SECRET" not in json.dumps(shown).replace(json.dumps(name), "")
    assert shown["features"][0] == kept


def test_where_the_owner_speaks_of_columns_by_position_the_others_are_shown():
    report = {
        "features": [{"name": "_c0", "mean": 30}, {"name": "_c3", "mean": 7}, {"name": "x3", "mean": 8}]
    }
    shown = redact_report(report, ["_c3"])["features"]
    assert shown[0] == {"name": "_c0", "mean": 30}
    assert shown[1:] == [{"name": "_c3", "redacted": True}, {"name": "x3", "redacted": True}]
    assert json.loads(redact_text('{"f0": 30, "f1": 7}', ["f1"])) == {"f0": 30, "f1": "[redacted]"}


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(["", "[", "{", '{"a":']), st.integers(0, 20_000))
def test_whatever_was_sent_is_answered(text, opening, times):
    assert isinstance(redact_text(opening * times + text, ["customer_id"]), str)


@given(
    st.dictionaries(st.sampled_from(["age", "plan", "who.age", "plan_2"]), PLAIN, min_size=1),
    SENSITIVE_KEYS.filter(lambda key: "SECRET" not in key),
)
def test_plain_fields_beside_a_sensitive_one_are_shown(fields, key):
    """So that withholding all cannot pass for redacting."""
    shown = json.loads(redact_text(json.dumps({**fields, key: "c-0815-4711"}), ["customer_id"]))
    assert {name: shown.get(name) for name in fields} == fields
