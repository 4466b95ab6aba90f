"""Whatever changes in a template is told before it is deployed, whether the summary picks it or not."""

from __future__ import annotations

import copy
import re

import pytest

from deploy.recording import find_movable
from deploy.stack import compare
from layers.diff_stack import compare_stacks, list_properties
from layers.replacements import REPLACES
from layers.template_changes import NOISE, find_changes, is_noise

QUIET = "Nothing but code would change."
AGAIN = "(replaced: another is made, and this one deleted or left behind)"


def list_leaves(value, path=()):
    """Every scalar and every empty list or mapping of a template, with its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict | list) and value:
        for key, one in inner:
            yield from list_leaves(one, (*path, key))
    else:
        yield path


def list_kinds(template):
    """One leaf of each kind: type of the resource and names on the way, whatever the number in a list."""
    kinds = {}
    for path in list_leaves(template):
        section, *rest = path
        kind = template["Resources"][path[1]]["Type"] if section == "Resources" else section
        kinds.setdefault((kind, *(part for part in rest[1:] if not isinstance(part, int))), path)
    return list(kinds.values())


def change(template, path, make):
    """The template with one leaf made another, or taken away where ``make`` is None. Only the way to it is copied."""
    changed = dict(template) if isinstance(template, dict) else list(template)
    if len(path) > 1:
        changed[path[0]] = change(changed[path[0]], path[1:], make)
    elif make is None:
        del changed[path[0]]
    else:
        changed[path[0]] = make(changed[path[0]])
    return changed


def alone(template, path):
    """The resource, parameter or output of a path by itself: a summary of it takes no time."""
    section, owner = path[:2]
    return {"Resources": {}, section: {owner: template[section][owner]}}


def other(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}X" if isinstance(value, str) else ["X"]


def test_every_kind_of_property_that_changes_is_told(hub_template):
    kinds = list_kinds(hub_template)
    assert len(kinds) > 250
    for path in kinds:
        if path[0] == "Resources" and path[2:] == ("Type",):
            continue  # another type has other properties: below
        one = alone(hub_template, path) if len(path) > 1 else hub_template
        told = compare(one, change(one, path, other))
        assert (told == QUIET) is is_noise(path, hub_template), path


@pytest.mark.parametrize(
    "make",
    [other, None, lambda value: {"Ref": value} if isinstance(value, str) else [value]],
    ids=["another", "gone", "of another form"],
)
def test_no_change_hides_beside_one_that_the_summary_shows(hub_template, make):
    """Of each resource one leaf that the summary shows changes, and with it each kind of its others in turn."""
    owners = {}
    for path in list_leaves(hub_template):
        if path[0] == "Resources" and path[2:] != ("Type",) and not is_noise(path, hub_template):
            owners.setdefault(path[1], []).append(path)
    kinds = set()
    for owner, paths in owners.items():
        one = alone(hub_template, paths[0])
        visible = ((path, change(one, path, other)) for path in paths)
        told = ((path, then, compare_stacks(one, then)) for path, then in visible)
        first = next((row for row in told if any(line[0] in "+-" for line in row[2])), None)
        for path in paths if first else ():
            kind = (
                hub_template["Resources"][owner]["Type"],
                *(part for part in path[2:] if not isinstance(part, int)),
            )
            if path != first[0] and kind not in kinds:
                kinds.add(kind)
                assert compare_stacks(one, change(first[1], path, make)) != first[2], path
    assert len(kinds) > 150


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("Environment", "Variables", "STATE_TABLE"), "StateTable",
         "Environment.Variables.STATE_TABLE: nothing -> StateTable"),
        (("Role",), "TickRole.Arn", "Role: nothing -> TickRole.Arn"),
        (("Architectures", 0), {"Ref": "x86_64"}, "Architectures.0.Ref: nothing -> x86_64"),
        (("Timeout",), "50", "Timeout: 50 -> 50"),
    ],
)  # fmt: skip
def test_what_reads_alike_in_the_summary_is_told_beside_a_change_that_it_shows(
    hub_template, path, value, line
):
    """A forgotten `!Ref` is a table's logical id in place of its name."""
    at = ("Resources", "TickLambdaFunction", "Properties")
    wider = change(hub_template, (*at, "MemorySize"), other)
    told = compare_stacks(hub_template, change(wider, (*at, *path), lambda _: value))
    assert f"TickLambdaFunction: {line}" in told
    assert any("257 MB" in one for one in told)


def test_two_values_that_change_places_are_told_beside_a_change_that_the_summary_shows(hub_template):
    changed = copy.deepcopy(hub_template)
    role = changed["Resources"]["TickRole"]["Properties"]
    role["Policies"][0]["PolicyName"] += "X"
    actions = role["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"]
    actions[0], actions[-1] = actions[-1], actions[0]
    told = compare_stacks(hub_template, changed)
    start = "TickRole: Policies.0.PolicyDocument.Statement.0.Action."
    assert any(line.startswith(start) for line in told), told


def test_every_single_property_that_changes_or_goes_is_seen(hub_template):
    """Also what the summary could not do without."""
    for path in list_leaves(hub_template):
        for make in (other, None):
            seen = list(find_changes(hub_template, change(hub_template, path, make)))
            assert bool(seen) is not is_noise(path, hub_template), (path, make)


def test_every_kind_of_property_that_changes_turns_the_golden_file_red(template):
    for path in list_kinds(template):
        if path[2:] != ("Type",) and not is_noise(path, template):
            one = alone(template, path) if len(path) > 1 else template
            assert list_properties(change(one, path, other)) != list_properties(one), path


def test_what_counts_as_code_alone_is_this_and_nothing_else(hub_template):
    assert NOISE == (
        "AWS::Lambda::Function *.Code.S3Key",
        "AWS::Lambda::LayerVersion *.Content.S3Key",
        "Outputs *LambdaLayerHash.Value",
        "Outputs *LambdaLayerS3Key.Value",
    )
    noisy = [path for path in list_leaves(hub_template) if is_noise(path, hub_template)]
    assert {path[0] for path in noisy} == {"Resources", "Outputs"}
    assert len(noisy) == 8 + 1 + 2  # functions, layer, and the layer's two outputs
    for path in noisy:
        later = change(hub_template, path, lambda value: re.sub("[0-9]{13}-20[0-9]{2}", "1-2031", value))
        assert compare(hub_template, later) == QUIET


@pytest.mark.parametrize(
    ("logical_id", "edit", "line"),
    [
        ("TickRole", {"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
         "TickRole: ManagedPolicyArns.0: nothing -> arn:aws:iam::aws:policy/AdministratorAccess"),
        ("TickRole", {"MaxSessionDuration": 43200}, "TickRole: MaxSessionDuration: nothing -> 43200"),
        ("AlertRule", {"State": "DISABLED"}, "AlertRule: State: nothing -> DISABLED"),
        ("TickSchedule", {"State": "DISABLED"}, "TickSchedule: State: nothing -> DISABLED"),
        ("TickLambdaFunction", {"ReservedConcurrentExecutions": 0},
         "TickLambdaFunction: ReservedConcurrentExecutions: nothing -> 0"),
        ("TickLambdaFunction", {"Handler": "x.y"}, "TickLambdaFunction: Handler: functions/tick/handler.handler -> x.y"),
        ("TickLambdaFunction", {"VpcConfig": {"SubnetIds": ["s"]}}, "TickLambdaFunction: VpcConfig.SubnetIds.0: nothing -> s"),
        ("AlertsAtRiskAlarm", {"ActionsEnabled": False}, "AlertsAtRiskAlarm: ActionsEnabled: nothing -> false"),
        ("AlertQueue", {"QueueName": "other"}, f"AlertQueue: QueueName: sagewatch-contracthub-alert -> other {AGAIN}"),
    ],
)  # fmt: skip
def test_what_the_summary_does_not_pick_is_told_property_by_property(hub_template, logical_id, edit, line):
    changed = copy.deepcopy(hub_template)
    changed["Resources"][logical_id]["Properties"].update(edit)
    assert compare_stacks(hub_template, changed) == [line]


def test_a_resource_that_comes_goes_or_becomes_another_is_named_with_all_that_it_may(hub_template):
    changed = copy.deepcopy(hub_template)
    del changed["Resources"]["HeartbeatAlarm"]
    changed["Resources"]["Ours"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        },
    }
    changed["Resources"]["SpokeBus"] = {"Type": "AWS::SQS::Queue", "Properties": {}}
    told = compare_stacks(hub_template, changed)
    assert {
        "-AWS::CloudWatch::Alarm HeartbeatAlarm",
        "+AWS::IAM::Policy Ours",
        "Ours: PolicyDocument.Statement.0.Action: nothing -> *",
        f"SpokeBus: Type: AWS::Events::EventBus -> AWS::SQS::Queue {AGAIN}",
    } <= set(told)


STATEMENT = ("TickRole", "Properties", "Policies", 0, "PolicyDocument", "Statement")
OURS = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": {"Statement": []}}}


@pytest.mark.parametrize(
    ("path", "make", "line"),
    [
        ((*STATEMENT, 0), lambda one: {"NotAction": one["Action"], **{k: v for k, v in one.items() if k != "Action"}},
         "TickRole: Policies.0.PolicyDocument.Statement.0.NotAction.0: "),
        (STATEMENT, lambda rows: rows[0], "+TickRole: {"),
        ((*STATEMENT[:3], 0), lambda one: {"Fn::If": ["HasKmsKey", one, {"Ref": "AWS::NoValue"}]}, "+TickRole: {"),
        (("HeartbeatAlarm", "Properties"), lambda row: {k: v for k, v in row.items() if k != "Dimensions"},
         "+HeartbeatAlarm: "),
        (("HeartbeatAlarm", "Properties"), lambda row: {k: v for k, v in row.items() if k != "MetricName"},
         "+HeartbeatAlarm: {"),
        (("AlertQueue",), lambda _: OURS, "AlertQueue: PolicyDocument.Statement: nothing -> []"),
    ],
)  # fmt: skip
def test_a_form_that_the_template_never_has_stops_no_deployment_and_is_told(hub_template, path, make, line):
    """Somebody changed the template by hand, or a later version of it is compared with an older."""
    changed = change(hub_template, ("Resources", *path), make)
    told = compare_stacks(hub_template, changed)
    assert any(one.startswith(line) for one in told), told
    assert find_movable(changed) == find_movable(hub_template)
    assert compare_stacks(changed, hub_template)


def test_a_rule_that_goes_to_another_bus_is_made_anew(hub_template):
    changed = copy.deepcopy(hub_template)
    changed["Resources"]["AlertRule"]["Properties"]["EventBusName"] = {"Ref": "Other"}
    assert f"AlertRule: EventBusName.Ref: FactBus -> Other {AGAIN}" in compare_stacks(hub_template, changed)


@pytest.mark.parametrize("given", [True, False])
def test_what_comes_or_goes_by_a_parameter_is_named_with_what_becomes_of_it(hub_template, given):
    """The template's resources are the same: a condition leaves the bucket out."""
    other_bucket = change(hub_template, ("Parameters", "CaptureBucketName", "Default"), lambda _: "mine")
    told = compare_stacks(*((hub_template, other_bucket) if given else (other_bucket, hub_template)))
    named = {line.partition(":")[2].partition(" ")[2]: line for line in told if "by the condition" in line}
    by = "by the condition MakeCaptureBucket"
    bucket, policy = "AWS::S3::Bucket CaptureBucket", "AWS::S3::BucketPolicy CaptureBucketPolicy"
    if given:
        assert f"-{bucket}: it leaves the stack and stays, {by}" in told
        assert f"-{policy}: it is deleted, {by}" in told
    else:
        assert f"+{bucket}: it is made, {by}" in told
        assert f"+{policy}: it is made, {by}" in told
    rows = hub_template["Resources"].values()
    assert len(named) == sum(one.get("Condition") == "MakeCaptureBucket" for one in rows)


def test_a_condition_that_is_another_with_no_other_outcome_names_no_resource(hub_template):
    changed = copy.deepcopy(hub_template)
    changed["Conditions"]["MakeCaptureBucket"] = {
        "Fn::Or": [{"Fn::Equals": [1, "1"]}, {"Condition": "HasKmsKey"}]
    }
    told = compare_stacks(hub_template, changed)
    assert any(line.startswith("Conditions.MakeCaptureBucket: ") for line in told)
    assert not any("by the condition" in line for line in told)
    changed["Conditions"]["MakeCaptureBucket"] = {
        "Fn::And": [{"Fn::Not": [{"Condition": "InChina"}]}, {"Fn::Not": [{"Fn::Equals": [1, 1]}]}]
    }
    assert any("CaptureBucket: it leaves" in line for line in compare_stacks(hub_template, changed))


def test_one_statement_that_comes_in_between_is_one_change(hub_template):
    changed = copy.deepcopy(hub_template)
    statements = changed["Resources"]["TickRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements.insert(
        1, {"Sid": "More", "Effect": "Allow", "NotAction": "iam:*", "Action": [], "Resource": "*"}
    )
    told = [line for line in compare_stacks(hub_template, changed) if line.startswith("TickRole:")]
    start = "TickRole: Policies.0.PolicyDocument.Statement.1"
    assert told == [
        f"{start}.Sid: nothing -> More",
        f"{start}.NotAction: nothing -> iam:*",
        f"{start}.Action: nothing -> []",
    ]


def test_an_order_that_the_summary_does_not_keep_is_told(hub_template):
    """It sorts a statement's actions; what is another is told all the same, never called code."""
    changed = copy.deepcopy(hub_template)
    statements = changed["Resources"]["TickRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements[0]["Action"].reverse()
    assert compare(hub_template, changed).startswith(
        "TickRole: Policies.0.PolicyDocument.Statement.0.Action."
    )


def give(template, **parameters):
    """The template with other defaults, as `make package PARAMS=...` writes them."""
    for name, value in parameters.items():
        template = change(template, ("Parameters", name, "Default"), lambda _, value=value: value)
    return template


KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def test_what_a_parameter_makes_another_inside_a_resource_is_named_with_its_properties(hub_template):
    """A key: the parameter's line alone said nothing of the fourteen queues that are encrypted anew."""
    told = compare_stacks(hub_template, give(hub_template, KmsKeyArn=KEY))
    end = "another, as the parameters are now"
    assert f"TickQueue: KmsMasterKeyId, SqsManagedSseEnabled: {end}" in told
    assert f"StateTable: SSESpecification: {end}" in told
    assert f"TickRole: Policies: {end}" in told
    rows = hub_template["Resources"]
    named = {line.partition(":")[0] for line in told if line.endswith(end)}
    reads = ("'HasKmsKey'", "{'Ref': 'KmsKeyArn'}")
    assert named == {name for name, row in rows.items() if any(one in str(row) for one in reads)}
    # The way back, and one key in place of another: the condition stays as it is.
    other_key = give(hub_template, KmsKeyArn=KEY.replace("key/1", "key/2"))
    for before, after in (
        (give(hub_template, KmsKeyArn=KEY), hub_template),
        (give(hub_template, KmsKeyArn=KEY), other_key),
    ):
        assert any(line.startswith("TickQueue: KmsMasterKeyId") for line in compare_stacks(before, after))
    assert not [line for line in compare_stacks(hub_template, hub_template) if line]


def test_a_condition_that_comes_and_makes_nothing_of_what_it_stands_in_is_one_line(hub_template):
    """An upgrade that brings the boundary, for an account that has none: 33 lines buried the rest."""
    old = copy.deepcopy(hub_template)
    roles = [row for row in old["Resources"].values() if row["Type"] == "AWS::IAM::Role"]
    for row in roles:
        del row["Properties"]["PermissionsBoundary"]
    whose = f"{len(roles)} resources"
    told = [f"PermissionsBoundary of {whose}: comes to nothing, as the parameters are"]
    assert compare_stacks(old, hub_template) == compare_stacks(hub_template, old) == told
    given = compare_stacks(
        old, give(hub_template, PermissionsBoundaryArn="arn:aws:iam::123456789012:policy/b")
    )
    assert sum("PermissionsBoundary.Fn::If.0: nothing -> HasBoundary" in line for line in given) == len(roles)


def test_branches_of_a_condition_that_change_places_are_told(hub_template):
    role = next(name for name, row in hub_template["Resources"].items() if row["Type"] == "AWS::IAM::Role")
    changed = copy.deepcopy(hub_template)
    inner = changed["Resources"][role]["Properties"]["PermissionsBoundary"]["Fn::If"]
    inner[1], inner[2] = inner[2], inner[1]
    assert any(
        line.startswith(f"{role}: PermissionsBoundary.Fn::If")
        for line in compare_stacks(hub_template, changed)
    )


def test_a_mail_address_that_is_another_is_told_as_a_subscription_made_anew(hub_template):
    before, after = (give(hub_template, AlertMail=mail) for mail in ("a@example.com", "b@example.com"))
    told = compare_stacks(before, after)
    assert f"AlertsMailSubscription: Endpoint: another, as the parameters are now {AGAIN}" in told


def test_a_change_of_the_template_itself_is_not_told_a_second_time_as_one_of_parameters(hub_template):
    changed = copy.deepcopy(hub_template)
    changed["Resources"]["TickQueue"]["Properties"]["KmsMasterKeyId"] = {"Ref": "NewKey"}
    changed["Parameters"]["NewKey"] = {"Type": "String", "Default": KEY}
    changed["Conditions"]["HasNewKey"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "NewKey"}, ""]}]}
    told = compare_stacks(hub_template, changed)
    assert any(line.startswith("TickQueue: KmsMasterKeyId") for line in told)
    assert not any("parameters are now" in line for line in told)


def test_what_is_told_as_replaced_is_what_cloudformations_registry_says(template, hub_template):
    """cfn-lint brings the registry's schemas: of each type here, the properties that another resource alone can have."""
    manager = pytest.importorskip("cfnlint.schema.manager")
    rows = [*template["Resources"].values(), *hub_template["Resources"].values()]
    for kind in sorted({row["Type"] for row in rows} | REPLACES.keys()):
        schema = manager.PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        paths = [
            *schema.get("createOnlyProperties", []),
            *(schema.get("conditionalCreateOnlyProperties") or []),
        ]
        assert {path.split("/")[2] for path in paths} == REPLACES[kind], kind
