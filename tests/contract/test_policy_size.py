"""However many endpoints may be swapped, every policy is one that IAM takes, or the package is refused with a sentence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from deploy.recording import find_movable

ROOT = Path(__file__).resolve().parents[2]
MANAGED, ROLE_INLINE, OTHER_STATEMENTS = 6144, 10240, 4000
PLACE = {
    "${AWS::Partition}": "aws-us-gov",
    "${AWS::Region}": "ap-southeast-1",
    "${AWS::AccountId}": "123456789012",
}


def ask_endpoints(names):
    """What resources/endpoints.js makes of a list of names: the role's own statement, and further policies."""
    script = f"""
    const endpoints = require('./resources/endpoints.js');
    const told = {{resolveVariable: async () => {json.dumps(",".join(names))}}};
    Promise.all([endpoints.statement(told), endpoints.resources(told)])
      .then(([statement, {{Resources}}]) => console.log(JSON.stringify([statement, Resources])))
      .catch((error) => {{ console.log(error.message); process.exit(3); }});
    """
    done = subprocess.run(["node", "-e", script], cwd=ROOT, check=False, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stdout


def measure(value):
    """Letters as IAM counts them, with the longest account, region and partition."""
    text = json.dumps(value, separators=(",", ":"))
    for name, longest in PLACE.items():
        text = text.replace(name, longest)
    return len(text.replace('{"Fn::Sub":', "").replace('"}', '"'))


def list_names(statement):
    return {arn["Fn::Sub"].partition(":endpoint/")[2] for arn in statement["Resource"]} - {""}


@pytest.mark.parametrize("count", [1, 12, 60, 200])
def test_every_listed_endpoint_is_in_some_policy_and_no_policy_is_too_long(count):
    names = [f"Team-A-fraud-detector-{n:03d}" for n in range(count)]
    statement, policies = ask_endpoints(names)
    documents = [row["Properties"]["PolicyDocument"] for row in policies.values()]
    assert measure(statement) <= ROLE_INLINE - 2 * OTHER_STATEMENTS
    assert all(measure(document) <= MANAGED for document in documents)
    rows = [statement, *(document["Statement"][0] for document in documents)]
    listed = [name for row in rows for name in list_names(row)]
    assert sorted(listed) == sorted([*names, *(name.lower() for name in names)])
    assert all(row["Resource"][-1]["Fn::Sub"].endswith("endpoint-config/*") for row in rows)


def test_the_rest_belongs_to_the_role_that_swaps_and_a_deployment_knows_whom_it_can_put_back():
    names = [f"team-a-fraud-detector-{n:03d}" for n in range(60)]
    statement, policies = ask_endpoints(names)
    assert {str(row["Properties"]["Roles"]) for row in policies.values()} == {
        "[{'Ref': 'AdvanceDiagnosisRole'}]"
    }
    inline = {"Policies": [{"PolicyDocument": {"Statement": [statement]}}]}
    role = {"Type": "AWS::IAM::Role", "Properties": inline}
    assert find_movable({"Resources": {"AdvanceDiagnosisRole": role, **policies}}) == set(names)


def test_the_roles_other_statements_leave_room(of_type):
    """What endpoints.js leaves for them: its own part and the longest list of model roles (4,096) come on top."""
    (policy,) = of_type("AWS::IAM::Role")["AdvanceDiagnosisRole"]["Policies"]
    others = [one for one in policy["PolicyDocument"]["Statement"] if one.get("Sid") != "SwapListedEndpoints"]
    assert measure(others) <= OTHER_STATEMENTS + 600, "conditions count here with both their sides"


def test_more_than_iam_can_attach_is_refused_with_what_to_do():
    refusal = ask_endpoints([f"Team-{'a' * 50}-{n:04d}" for n in range(400)])
    assert refusal.startswith("endpoints: 800 names to swap need ")
    assert "mode: replay" in refusal
