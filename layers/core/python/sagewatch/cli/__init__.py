"""The command line ``sagewatch``: one file a command. Nothing imports it.

Exit codes: 0 done; 1 it was tried and failed, and the message says what to do; 2 the command or a
configuration file is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from sagewatch.cli.analyze import analyze
from sagewatch.cli.baseline import baseline
from sagewatch.cli.check import check
from sagewatch.cli.demo import demo
from sagewatch.cli.deploy_endpoint import deploy_endpoint
from sagewatch.cli.distributions import distributions
from sagewatch.cli.incidents import incidents
from sagewatch.cli.replay import replay
from sagewatch.cli.tail import tail
from sagewatch.cli.violations import violations
from sagewatch.errors import ConfigurationError, SagewatchError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sagewatch")
def cli() -> None:
    """Notices that an ML endpoint went wrong, tells the right person once, and finds out why.

    Exit codes: 0 done; 1 failed, the message says what to do; 2 wrong command or configuration.
    """


cli.add_command(analyze)
cli.add_command(baseline)
cli.add_command(check)
cli.add_command(demo)
cli.add_command(deploy_endpoint)
cli.add_command(distributions)
cli.add_command(incidents)
cli.add_command(replay)
cli.add_command(tail)
cli.add_command(violations)


def main() -> None:
    """Run the command; our own errors become one sentence and an exit code, not a traceback."""
    try:
        cli()
    except SagewatchError as error:
        click.echo(f"sagewatch: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
