"""Which channel and which id: the rule's order of channels first, then the id at hand, then the newest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from streams.delivery.channels import Address, Route, choose
from streams.delivery.reasons import Why

OPENID, OTHER, PHONE = (
    Address("n1", "openid", "wx", "o1", 1),
    Address("n2", "openid", "wy", "o2", 5),
    Address("n3", "phone", "", "+86", 3),
)
ANY, ONLY_WY, SMS = Route("mini", "openid", None), Route("mini", "openid", "wy"), Route("sms", "phone", None)


def route(
    routes: Sequence[Route],
    addresses: Sequence[Address],
    at_hand: Collection[str] = (),
    closed: Collection[str] = (),
    full: Collection[str] = (),
) -> tuple[Route, Address] | Why:
    return choose(routes, addresses, at_hand, lambda name: name not in closed, lambda name: name in full)


def test_the_first_route_that_fits_wins_though_a_later_one_has_a_newer_id() -> None:
    assert route([SMS, ANY], [OPENID, OTHER, PHONE]) == (SMS, PHONE)


def test_a_route_that_reaches_nobody_is_passed_over() -> None:
    assert route([ONLY_WY, SMS], [OPENID, PHONE]) == (SMS, PHONE)


def test_a_route_for_any_issuer_takes_the_newest_id_and_one_for_an_issuer_its_own() -> None:
    assert route([ANY], [OPENID, OTHER]) == (ANY, OTHER)
    assert route([ONLY_WY], [OTHER, OPENID]) == (ONLY_WY, OTHER)


def test_the_id_at_hand_goes_before_a_newer_one() -> None:
    assert route([ANY], [OTHER, OPENID], ("n1",)) == (ANY, OPENID)


def test_of_two_ids_at_hand_the_newer_is_taken() -> None:
    assert route([ANY], [OPENID, OTHER], ("n1", "n2")) == (ANY, OTHER)


def test_a_route_that_is_closed_or_full_is_passed_over() -> None:
    assert route([ANY, SMS], [OPENID, PHONE], closed=["mini"]) == (SMS, PHONE)
    assert route([ANY, SMS], [OPENID, PHONE], full=["mini"]) == (SMS, PHONE)


@pytest.mark.parametrize(
    ("addresses", "closed", "full", "why"),
    [
        ([], ["mini"], ["sms"], Why.UNREACHABLE),
        ([OPENID], ["mini"], ["sms"], Why.OUTSIDE_REPLY_WINDOW),
        ([PHONE], ["mini"], ["sms"], Why.CHANNEL_CAP),
        ([OPENID, PHONE], ["mini"], ["sms"], Why.CHANNEL_CAP),
        ([OPENID], ["mini"], ["mini"], Why.OUTSIDE_REPLY_WINDOW),
    ],
)
def test_the_reason_is_that_of_the_channel_that_came_furthest(
    addresses: list[Address], closed: list[str], full: list[str], why: Why
) -> None:
    assert route([ANY, SMS], addresses, (), closed, full) is why


def test_nobody_is_reached_without_routes_or_ids() -> None:
    assert route([], [PHONE]) is Why.UNREACHABLE
    assert route([SMS], []) is Why.UNREACHABLE
