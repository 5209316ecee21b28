"""Which channel and which id: the rule's order of channels first, then the id at hand, then the newest."""

from __future__ import annotations

import pytest

from streams.delivery.channels import Address, Route, route
from streams.delivery.decide import Offer, Send, Suppress, Why, decide

OPENID, OTHER, PHONE = (
    Address("n1", "openid", "wx", "o1", 1),
    Address("n2", "openid", "wy", "o2", 5),
    Address("n3", "phone", "", "+86", 3),
)
ANY, ONLY_WY, SMS = Route("mini", "openid", None), Route("mini", "openid", "wy"), Route("sms", "phone", None)


def test_the_first_route_that_fits_wins_though_a_later_one_has_a_newer_id() -> None:
    assert route([SMS, ANY], [OPENID, OTHER, PHONE], ()) == (SMS, PHONE)


def test_a_route_that_reaches_nobody_is_passed_over() -> None:
    assert route([ONLY_WY, SMS], [OPENID, PHONE], ()) == (SMS, PHONE)


def test_a_route_for_any_issuer_takes_the_newest_id_and_one_for_an_issuer_its_own() -> None:
    assert route([ANY], [OPENID, OTHER], ()) == (ANY, OTHER)
    assert route([ONLY_WY], [OTHER, OPENID], ()) == (ONLY_WY, OTHER)


def test_the_id_at_hand_goes_before_a_newer_one() -> None:
    assert route([ANY], [OTHER, OPENID], ("n1",)) == (ANY, OPENID)


def test_of_two_ids_at_hand_the_newer_is_taken() -> None:
    assert route([ANY], [OPENID, OTHER], ("n1", "n2")) == (ANY, OTHER)


def test_nobody_is_reached_without_routes_or_ids() -> None:
    assert route([], [PHONE], ()) is None
    assert route([SMS], [], ()) is None


@pytest.mark.parametrize(
    ("now", "addresses", "verdict"),
    [
        (100, [PHONE], Send(SMS, PHONE)),
        (101, [PHONE], Suppress(Why.EXPIRED)),
        (100, [OPENID], Suppress(Why.UNREACHABLE)),
        (101, [], Suppress(Why.EXPIRED)),
    ],
)
def test_at_the_expiry_it_is_sent_and_after_it_expiry_is_the_reason(
    now: int, addresses: list[Address], verdict: Send | Suppress
) -> None:
    assert decide(Offer(100, [SMS]), now, addresses, ()) == verdict
