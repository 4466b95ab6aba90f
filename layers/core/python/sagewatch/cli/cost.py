"""``sagewatch cost``: what a month would cost, by service, on which assumptions, and against an hourly monitoring job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from sagewatch.cli.cost_model import Estimate, Traffic, estimate
from sagewatch.cli.terminal import say_lines
from sagewatch.errors import ConfigurationError

PRICES = Path(__file__).parent / "prices" / "us-east-1.json"
_KINDS: dict[type, tuple[type, ...]] = {str: (str,), float: (float, int), int: (float, int), dict: (dict,)}
_OURS = frozenset({"quotas_as_of"})  # put together here: no line of a file
_MOST = 10**12
"""Beyond it nothing is a price, a quota or a count, and the sums would overflow."""
_AT_LEAST_ONE = click.IntRange(min=1, max=_MOST)


@click.command(epilog="Example: sagewatch cost --endpoints 10 --predictions-per-day 100000")
@click.option("--endpoints", type=_AT_LEAST_ONE, default=1, show_default=True, help="Endpoints watched.")
@click.option(
    "--predictions-per-day", type=_AT_LEAST_ONE, default=100_000, show_default=True, help="Of each endpoint."
)
@click.option(
    "--instances",
    type=_AT_LEAST_ONE,
    default=1,
    show_default=True,
    help="Of each endpoint: each writes files.",
)
@click.option(
    "--incidents",
    type=click.IntRange(min=0, max=_MOST),
    default=2,
    show_default=True,
    help="A month and endpoint.",
)
@click.option("--architecture", type=click.Choice(["x86_64", "arm64"]), default="x86_64", show_default=True)
@click.option(
    "--job-instance", default="ml.m5.xlarge", show_default=True, help="Of the hourly job compared with."
)
@click.option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is otherwise for you: a JSON file of some prices and quotas, laid over the table that comes along.",
)
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def cost(
    endpoints: int,
    predictions_per_day: int,
    instances: int,
    incidents: int,
    architecture: str,
    job_instance: str,
    prices: Path | None,
    *,
    as_json: bool,
) -> None:
    """Estimate a month's cost by service, and name quotas that come near. Nothing is asked of AWS."""
    table = read_table(prices)
    traffic = Traffic(
        endpoints=endpoints,
        predictions_per_day=predictions_per_day,
        instances=instances,
        incidents_per_month=incidents,
        architecture=architecture,
        job_instance=job_instance,
    )
    try:
        found = estimate(traffic, table)
    except KeyError as error:
        raise ConfigurationError(
            "is not in the table of prices", where=str(prices or PRICES), key=str(error.args[0])
        ) from None
    if as_json:
        whole = {
            "prices": {k: table[k] for k in ("region", "currency", "as_of", "source")},
            "month": found.month,
        }
        click.echo(json.dumps(whole | dict(msgspec.to_builtins(found)), indent=2))
        return
    say_lines(tell_estimate(found, traffic, table))


def read_table(own: Path | None) -> dict[str, Any]:
    """The table that comes along, with what a file says otherwise laid over it.

    Raises
    ------
    ConfigurationError
        The file is no table, or names a price that there is none of.
    """
    table: dict[str, Any] = json.loads(PRICES.read_text(encoding="utf-8"))
    table["quotas_as_of"] = f"defaults of a new account as the authors knew them, {table['as_of']}"
    if own is None:
        return table
    try:
        told = json.loads(own.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"is no JSON: {error}", where=str(own)) from None
    if not isinstance(told, dict):
        raise ConfigurationError("must be a JSON object of prices", where=str(own))
    for key, value in told.items():
        if key not in table or type(value) not in _KINDS[type(table[key])] or key in _OURS:
            raise ConfigurationError("is no price of the table", where=str(own), key=key)
        rows = value if isinstance(value, dict) else {key: value}
        for name, one in rows.items():
            _check_number(one, str(own), name if rows is not value else f"{key}.{name}")
        if key == "quotas" and (unknown := sorted(value.keys() - table[key].keys())):
            known = ", ".join(sorted(table[key]))
            raise ConfigurationError(
                f"is none of the quotas: {known}", where=str(own), key=f"quotas.{unknown[0]}"
            )
        table[key] = {**table[key], **value} if isinstance(value, dict) else value
    if "source" not in told:
        table["source"] += f" Here {own} says otherwise: {', '.join(sorted(told))}."
    if "quotas" in told:
        table["quotas_as_of"] += f"; of {own}: {', '.join(sorted(told['quotas']))}"
    return table


def _check_number(value: object, where: str, key: str) -> None:
    if isinstance(value, str) and "." not in key:
        return  # region, currency, source
    # NaN is smaller than nothing and greater than nothing.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise ConfigurationError("must be a number from 0 to 1e12", where=where, key=key)


def tell_estimate(found: Estimate, traffic: Traffic, table: dict[str, Any]) -> str:
    """The estimate in words."""
    unit = table["currency"]
    rows = [f"  {line.service:26} {line.month:10,.2f}  {line.why}" for line in found.lines]
    quotas = [
        f"  {'NEAR' if quota.is_near else 'ok  '}  {quota.name}: {quota.needed:g} of {quota.default:g}"
        + (f". {quota.advice}" if quota.is_near and quota.advice else "")
        for quota in found.quotas
    ]
    assumed = [f"  {one.value:>8g}  {one.what}" for one in found.assumptions.values()]
    hourly = (
        f"An hourly monitoring job on {traffic.job_instance} for each: {found.hourly_job:,.2f}, {found.ratio:.1f} times "
        f"the {found.month - found.captures:,.2f} of all above but the captures that lie in S3 ({found.captures:,.2f}), which both need."
    )
    own = "The sum counts no data quality jobs of our own (`quality:` in monitors.yml): each run costs what one run of that job costs."
    return "\n".join(
        [
            f"{traffic.endpoints} endpoints, {traffic.predictions_per_day:,} predictions a day each; {unit} a month of 30 days,",
            f"prices of {table['region']}, {table['as_of']}. {table['source']}",
            *rows,
            f"  {'together':26} {found.month:10,.2f}",
            hourly,
            own,
            f"Quotas, {table['quotas_as_of']}:",
            *quotas,
            "Assumed:",
            *assumed,
        ]
    )
