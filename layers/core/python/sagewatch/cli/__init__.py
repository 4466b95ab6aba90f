"""The command line ``sagewatch``: one file a command. Nothing imports it.

Exit codes: 0 done; 1 it was tried and failed, and the message says what to do; 2 the command or a
configuration file is wrong; 130 interrupted; 143 terminated.
"""

from __future__ import annotations

import signal
import sys
import traceback

import click

from sagewatch.cli.analyze import analyze
from sagewatch.cli.backtest import backtest
from sagewatch.cli.baseline import baseline
from sagewatch.cli.check import check
from sagewatch.cli.cost import cost
from sagewatch.cli.dead_letters import dead_letters
from sagewatch.cli.demo import demo
from sagewatch.cli.demo_tabular import demo_tabular
from sagewatch.cli.deploy_endpoint import deploy_endpoint
from sagewatch.cli.distributions import distributions
from sagewatch.cli.doctor import doctor
from sagewatch.cli.drill import drill
from sagewatch.cli.events import events, trigger
from sagewatch.cli.explain import explain
from sagewatch.cli.explain_tensors import explain_tensors
from sagewatch.cli.failures import tell_aws_failure, tell_retry
from sagewatch.cli.incidents import incidents
from sagewatch.cli.monitor import monitor
from sagewatch.cli.record import record
from sagewatch.cli.render import render
from sagewatch.cli.replay import replay
from sagewatch.cli.replays import replays
from sagewatch.cli.routes import routes
from sagewatch.cli.sandbox import sandbox
from sagewatch.cli.silences import silences
from sagewatch.cli.swaps import swaps
from sagewatch.cli.tail import tail
from sagewatch.cli.teardown import teardown
from sagewatch.cli.terminal import say, say_lines
from sagewatch.cli.violations import violations
from sagewatch.errors import ConfigurationError, RetryError, SagewatchError, describe_defect


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sagewatch")
def cli() -> None:
    """Notices that an ML endpoint went wrong, tells the right person once, and finds out why.

    Exit codes: 0 done; 1 failed, the message says what to do; 2 wrong command or configuration.
    """


cli.add_command(analyze)
cli.add_command(baseline)
cli.add_command(backtest)
cli.add_command(check)
cli.add_command(cost)
cli.add_command(demo)
cli.add_command(demo_tabular)
cli.add_command(dead_letters)
cli.add_command(deploy_endpoint)
cli.add_command(distributions)
cli.add_command(doctor)
cli.add_command(drill)
cli.add_command(events)
cli.add_command(explain_tensors)
cli.add_command(explain)
cli.add_command(incidents)
cli.add_command(monitor)
cli.add_command(record)
cli.add_command(trigger)
cli.add_command(render)
cli.add_command(replay)
cli.add_command(replays)
cli.add_command(routes)
cli.add_command(sandbox)
cli.add_command(silences)
cli.add_command(swaps)
cli.add_command(tail)
cli.add_command(teardown)
cli.add_command(violations)


def main() -> None:
    """Run the command; our own errors become one sentence and an exit code, not a traceback."""
    # What was started is stopped on the way out: a local AWS has a dozen processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        # Not click's own ending: it would turn an interrupt into exit code 1.
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        say("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RetryError as error:
        say_lines(f"sagewatch: {tell_retry(error)}", err=True)
        sys.exit(1)
    except SagewatchError as error:
        say_lines(f"sagewatch: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except OSError as error:
        say(f"sagewatch: {error.filename or 'input or output'}: {error.strerror or error}", err=True)
        sys.exit(1)
    except list_aws_errors() as error:
        say(f"sagewatch: {tell_aws_failure(error)}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  the process's edge: the error's own words may quote a record
        traceback.print_tb(error.__traceback__)
        say(f"sagewatch: {describe_defect(error)}", err=True)
        sys.exit(1)


def list_aws_errors() -> tuple[type[Exception], ...]:
    """What AWS's library raises, where a command has loaded it; asked for only when something was raised."""
    library = sys.modules.get("botocore.exceptions")
    return () if library is None else (library.ClientError, library.BotoCoreError)
