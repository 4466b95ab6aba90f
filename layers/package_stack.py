"""Package the stack offline: compile monitors.yml, build the layer, let osls write template and zips.

Run by `make package` and by the demo. Nothing is done when no input changed. osls asks CloudFormation whether
an earlier version of the layer exists; a listener on 127.0.0.1 answers that there is no such stack.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from layers.build_core import PLATFORMS, ROOT, alone_in, build_core, hash_of
from layers.stack_parameters import find_mistakes, find_own, is_written, resolve_params
from sagewatch.errors import ConfigurationError
from sagewatch.monitors import dump_monitors, parse_monitors
from sagewatch.monitors.doubts import SECRET_PREFIX, list_unreadable

TEMPLATE = "cloudformation-template-update-stack.json"
NO_STACK = b"""\
<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
<Message>Stack with id sagewatch does not exist</Message></Error><RequestId>0</RequestId></ErrorResponse>"""


class NoStack(BaseHTTPRequestHandler):
    """CloudFormation of an account in which nothing was ever deployed."""

    def do_POST(self) -> None:
        """Answer every question with: there is no such stack."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(400)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(NO_STACK)))
        self.end_headers()
        self.wfile.write(NO_STACK)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing: osls reports."""


@contextmanager
def answering_no_stack() -> Iterator[str]:
    """The URL of an empty CloudFormation on this machine, as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), NoStack)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


def compile_monitors(source: Path, target: Path, secret_prefix: str = SECRET_PREFIX) -> None:
    """Check monitors.yml and write it as the JSON that functions load without YAML."""
    try:
        monitors = parse_monitors(source.read_text(encoding="utf-8"), str(source))
        # A prefix that only osls can resolve is not known here.
        if is_written(secret_prefix) and (unreadable := list(list_unreadable(monitors, secret_prefix))):
            sys.exit("\n".join(f"package: {source}, {one}" for one in unreadable))
        body = dump_monitors(monitors)
    except ConfigurationError as error:
        sys.exit(f"{error}")
    except FileNotFoundError:
        sys.exit(
            f"package: {source} is not there. Write it (docs/configuration.md) or name one: MONITORS=FILE"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != body:
        target.write_bytes(body)


def read_inputs(root: Path, monitors: Path, layer: Path, words: list[str]) -> str:
    """One hash over everything that the result depends on."""
    files = [root / "serverless.yml", root / "package-lock.json", Path(__file__), monitors, layer]
    for folder in ("resources", "functions"):
        found = (path for path in (root / folder).rglob("*") if path.is_file())
        files += sorted(path for path in found if path.suffix != ".pyc")
    parts = [word.encode() for word in words]
    for file in files:
        parts += [str(file.relative_to(root)).encode(), file.read_bytes()]
    return hash_of(parts)


def run_osls(root: Path, out: Path, words: list[str]) -> None:
    """Let osls package into ``out``; its warnings are errors here."""
    osls = root / "node_modules" / ".bin" / "osls"
    if not osls.exists():
        sys.exit("package: osls is not installed. Run `make setup`.")
    if shutil.which("node") is None:
        sys.exit(
            "package: there is no node on the PATH. Install Node 20 or newer (Debian: apt-get install nodejs npm)."
        )
    with answering_no_stack() as endpoint:
        environment = {
            **os.environ,  # noqa: TID251 (the child's environment)
            "AWS_ACCESS_KEY_ID": "offline", "AWS_SECRET_ACCESS_KEY": "offline", "AWS_ENDPOINT_URL": endpoint,
            "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true", "SLS_NOTIFICATIONS_MODE": "off",
        }  # fmt: skip
        environment.pop("AWS_PROFILE", None)
        command = [str(osls), "package", "--package", str(out), *words]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    # What resources/*.js refuse is a sentence already; osls wraps it into forty lines of its own stack.
    if refused := re.search(r"Received rejection: Error: (.+)", said):
        sys.exit(f"package: {refused[1]}")
    if done.returncode or "arning" in said:
        sys.exit(f"package: osls was not content\n{said}")


def package_stack(
    root: Path, stage: str, architecture: str, monitors: Path, params: list[str], label: str = ""
) -> Path:
    """Template and zips of the stage, fresh or from before; the folder they lie in, which a label sets apart."""
    text = (root / "serverless.yml").read_text(encoding="utf-8")
    others = [one.read_text(encoding="utf-8") for one in sorted((root / "resources").glob("*.*"))]
    try:
        resolved, own = resolve_params(text, stage, params), find_own(text, others)
    except yaml.YAMLError as error:
        sys.exit(f"package: serverless.yml is no YAML: {error}")
    if mistakes := find_mistakes(stage, resolved, own):
        sys.exit("\n".join(f"package: {one}" for one in mistakes))
    prefix = dict(param.partition("=")[::2] for param in resolved).get("secretPrefix", SECRET_PREFIX)
    build = root / ".build" / (label or stage)
    if label:
        params = [*params, f"monitorsFile=.build/{label}/monitors.json"]
    with alone_in(build):
        compile_monitors(monitors, build / "monitors.json", prefix)
        return _package_stack(root, build, stage, architecture, params)


def _package_stack(root: Path, build: Path, stage: str, architecture: str, params: list[str]) -> Path:
    compiled, out, stamp = build / "monitors.json", build / "package", build / "package.inputs"
    layer = build_core(root, architecture, root / ".build" / "layers")
    words = ["--stage", stage, "--param", f"architecture={architecture}"]
    words += [word for param in params for word in ("--param", param)]
    key = read_inputs(root, compiled, layer, words)
    if (out / TEMPLATE).exists() and stamp.exists() and stamp.read_text() == key:
        print(f"package: {out.relative_to(root)} (unchanged)")
        return out
    shutil.rmtree(out, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    print(f"package: osls packages stage {stage}", flush=True)
    run_osls(root, out, words)
    stamp.write_text(key)
    print(f"package: {out.relative_to(root)}/{TEMPLATE}")
    return out


def main() -> None:
    """Package as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--monitors", type=Path, default=ROOT / "monitors.yml", metavar="FILE")
    parser.add_argument("--label", default="", help="folder below .build; default: the stage")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    package_stack(
        ROOT, arguments.stage, arguments.architecture, arguments.monitors, arguments.param, arguments.label
    )


if __name__ == "__main__":
    main()
