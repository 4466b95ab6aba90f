"""A row that nobody can read keeps no word from a receiver, and closes nothing over what it may have said."""

from __future__ import annotations

import msgspec
import pytest

from sagewatch.errors import ConflictError
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.acceptance.test_flapping import PAGED

PAUSE = Item("receiver#on-call/slack", "pause", b"{broken")


def damage(pk, sk):
    """The row is there, and says nothing."""
    return lambda story: story.items.write([Write(Item(pk, sk, b"{broken"), ANY_VERSION)])


def test_a_pause_that_cannot_be_read_is_none_and_the_next_one_is_kept(tell):
    story = tell()
    story.at("0s").does(damage(PAUSE.pk, PAUSE.sk))
    story.at("1m").throttles("on-call/slack", times=1, retry_after=90)
    story.at("1m").raises("stop")
    story.expect("on-call/mail", "firing", "1m")
    story.expect("on-call/slack", "firing", "2m30s", "2m31s")
    story.ends("1h")
    assert story.world.alerts.load_pause("on-call/slack") == story.at("2m30s").now


def test_heat_maps_of_which_nobody_knows_whether_they_were_shared_are_shared(tell):
    alerts = tell().world.alerts
    damage("incident#i", "pictures#on-call/slack")(tell())
    assert not alerts.were_pictures_shared("i", "on-call/slack")
    alerts.claim_pictures("i", "on-call/slack")
    assert alerts.were_pictures_shared("i", "on-call/slack")
    with pytest.raises(ConflictError):
        alerts.claim_pictures("i", "on-call/slack")


@pytest.mark.parametrize("fires", [True, False])
def test_a_key_is_not_closed_over_a_member_that_cannot_be_read(tell, fires):
    """One that was told to its end withholds nothing, though its row stays damaged until it expires."""
    story = tell(PAGED)
    story.at("0m").raises("stop")
    story.at("6m").raises("yield")

    def damage_member(told):
        rows = [row for row in told.items.query(find_group(told)) if row.sk.endswith(told.find("stop"))]
        (row,) = rows
        told.items.write([Write(msgspec.structs.replace(row, body=b"{broken"), ANY_VERSION)])

    if not fires:
        story.at("6m30s").clears("stop")
        story.at("6m40s").clears("yield")
        story.at("10m").raises("yield")
    story.at("12m").does(damage_member)
    story.at("13m").clears("yield")
    if fires:
        story.at("2h").clears("stop")
    story.play_only("5h")
    ends = [str(one.at - story.at("0s").now) for one in story.ears.heard if one.kind == "resolve"]
    assert ends == (["2:00:00"] if fires else ["0:06:40", "0:13:00"])
    assert story.world.alerts.list_due() == []


def find_group(story):
    """Where the rows of the one message are."""
    (debt,) = story.world.state.load_debts(story.find("stop"))
    return f"group#{debt.group}#pagerduty"
