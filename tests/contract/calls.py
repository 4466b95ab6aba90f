"""Which AWS operations each function reaches, read off the source: flow -> state and ports -> adapters -> boto3."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "layers" / "core" / "python" / "sagewatch"
# boto3 methods that name the operation in their first argument.
NAMED_BY_ARGUMENT = {"get_paginator", "generate_presigned_url"}
# IAM actions whose name is not the operation's, or that another operation needs beside it.
ACTIONS = {
    "s3:ListObjectsV2": {"s3:ListBucket"},
    # Without the right to list, S3 answers "forbidden" where an object is merely gone.
    "s3:GetObject": {"s3:GetObject", "s3:ListBucket"},
    # The service's prefix in IAM has no version, and raw content asks for the older call's right.
    "sesv2:SendEmail": {"ses:SendEmail", "ses:SendRawEmail"},
    "dynamodb:TransactWriteItems": {"dynamodb:PutItem"},
}


@cache
def parse(path: str) -> ast.Module:
    """The syntax tree of a file of the package."""
    return ast.parse((PACKAGE / path).read_text())


def definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """Functions and classes at the top of a file, by name."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds)}


def words(node: ast.AST) -> set[str]:
    """Every name and attribute that a piece of code mentions."""
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return names | {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


def find_reached(flow: str) -> set[str]:
    """All words of a flow's function and of the functions of ``flows/`` that it calls, however deep."""
    todo, seen, found = [(f"flows/{flow}.py", flow)], set(), set()
    while todo:
        file, name = todo.pop()
        if (file, name) in seen:
            continue
        seen.add((file, name))
        local = definitions(parse(file))
        if name not in local:
            continue
        mentioned = words(local[name])
        found |= mentioned
        todo += [(file, word) for word in mentioned if word in local]
        for node in parse(file).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sagewatch.flows."):
                source = f"flows/{node.module.rsplit('.', 1)[1]}.py"
                todo += [(source, alias.name) for alias in node.names if alias.name in mentioned]
    return found


@cache
def read_adapters() -> dict[str, frozenset[str]]:
    """Method of an adapter -> IAM actions of the boto3 calls in it."""
    found = {}
    for file in sorted((PACKAGE / "aws").glob("*.py")):
        tree = parse(f"aws/{file.name}")
        services = [
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "build_client"
            and isinstance(node.args[0], ast.Constant)
        ]
        for top in tree.body if services else []:
            methods = top.body if isinstance(top, ast.ClassDef) else [top]
            named = {
                method.name: method
                for method in methods
                if isinstance(method, ast.FunctionDef) and method.name != "__init__"
            }
            own = {name: read_actions(services[0], method) for name, method in named.items()}
            for name, method in named.items():
                # A method that asks its own adapter first does both calls.
                asked = {word for word in words(method) & named.keys() if isinstance(top, ast.ClassDef)}
                found[name] = frozenset(own[name].union(*(own[word] for word in asked)))
    return found


def read_actions(service: str, method: ast.AST) -> set[str]:
    """IAM actions of the client's operations that a method calls or hands on."""
    operations = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in NAMED_BY_ARGUMENT:
            operations.add(node.args[0].value)
        elif isinstance(node, ast.Attribute) and is_client(node.value) and node.attr not in NAMED_BY_ARGUMENT:
            operations.add(node.attr)
    names = {f"{service}:{''.join(word.capitalize() for word in name.split('_'))}" for name in operations}
    return {action for name in names for action in ACTIONS.get(name, {name})}


def is_client(node: ast.AST) -> bool:
    """Whether an expression is a boto3 client: ``self._client`` or ``build_client(...)``."""
    return (
        getattr(node, "attr", "") == "_client"
        or getattr(getattr(node, "func", None), "id", "") == "build_client"
    )


def read_state() -> dict[str, frozenset[str]]:
    """Method of the state -> IAM actions of what it asks of the table, its own helpers included."""
    rooms = ("alert_state", "state")
    files = [f"{room}/{file.name}" for room in rooms for file in sorted((PACKAGE / room).glob("*.py"))]
    tops = [node for file in files for node in parse(file).body if isinstance(node, ast.ClassDef)]
    methods = {node.name: node for top in tops for node in top.body if isinstance(node, ast.FunctionDef)}

    def reach(name: str, seen: frozenset[str]) -> set[str]:
        mentioned = words(methods[name])
        inner = {word for word in mentioned & methods.keys() if word not in seen}
        own = {action for word in mentioned & ITEMS for action in read_adapters()[word]}
        return own.union(*(reach(word, seen | {name}) for word in inner))

    return {name: frozenset(reach(name, frozenset())) for name in methods if not name.startswith("_")}


ITEMS = {"get", "query", "write", "delete"}


def derive_actions(flow: str) -> set[str]:
    """The IAM actions that a function's work comes down to."""
    mentioned = find_reached(flow)
    state, adapters = read_state(), read_adapters()
    found = {action for word in mentioned & state.keys() for action in state[word]}
    found |= {action for word in (mentioned & adapters.keys()) - ITEMS for action in adapters[word]}
    if mentioned & {"post_message", "update_message", "reply", "post_hook", "get_secret"}:
        # The token of a chat is fetched when it is first used, from the store that monitors.yml names.
        found |= {"secretsmanager:GetSecretValue", "ssm:GetParameter"}
    return found
