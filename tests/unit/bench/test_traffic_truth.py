"""The planned truth against an independent reading of the generated events.

In: one small run. Out: verdicts. Never: uses the plan to read the events; only the comparison looks at both.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import networkx as nx
import phonenumbers
import pytest

from bench.traffic import BLOCKED, BYTE_FAULTS, REASONS, Fate, Id, OrderKey, Sent, Traffic, TrafficSpec, plan
from bench.traffic.fates import SAFE_MS

SPEC = TrafficSpec(people=400, events_per_person=25, seed=11)
REACHABLE = {"openid", "external_userid", "phone"}
ENDS = {"order_paid", "order_cancelled"}
HOUR_MS = 3_600_000


@cache
def traffic() -> Traffic:
    return plan(SPEC)


def reason_to_refuse(sent: Sent, event: dict[str, Any]) -> str:
    """Why ingest must refuse it, or ""."""
    values = [*event["properties"].values(), event["order_id"] or ""]
    verdicts = {
        BYTE_FAULTS.get(sent.fault, ""): bool(sent.fault),
        "too_large": sum(len(value.encode()) for value in values) > 1 << 20,
        "unknown_tenant": event["tenant"] not in SPEC.tenants,
        "invalid_event_id": not event["event_id"],
        "invalid_event_type": not event["event_type"].replace("_", "").isalnum(),
        "event_time_in_future": event["event_time"] > sent.received_ms,
        "event_time_too_old": event["event_time"] < SPEC.start_ms - 24 * HOUR_MS,
        "negative_amount": (event["amount_fen"] or 0) < 0,
        "too_many_identities": len(event["identities"]) > 20,
        "too_many_properties": len(event["properties"]) > 100,
        "value_too_long": any(len(value) > 8192 for value in values),
        "control_characters": any(ord(char) < 32 for value in values for char in value[:9000]),
    }
    found = [reason for reason, holds in verdicts.items() if holds]
    assert len(found) <= 1, "an event has one fault at most"
    return found[0] if found else ""


@cache
def judged() -> list[tuple[Sent, dict[str, Any], str]]:
    """Every event in order of receipt, and why it is refused."""
    return [(s, s.event, reason_to_refuse(s, s.event)) for s in traffic() if s.event is not None]


@cache
def accepted() -> list[tuple[Sent, dict[str, Any]]]:
    """First receipts of sound events."""
    first: dict[tuple[str, str], tuple[Sent, dict[str, Any]]] = {}
    for sent, event, reason in judged():
        if not reason:
            first.setdefault((event["tenant"], event["event_id"]), (sent, event))
    return list(first.values())


def normalised(event: dict[str, Any]) -> list[Id]:
    """The ids of an event that stand for somebody."""
    ids = [(i["kind"], i["scope"] or "", written(i)) for i in event["identities"]]
    return [ident for ident in ids if ident[2] and ident[2] not in BLOCKED]


def written(identity: dict[str, str]) -> str:
    """The value, a phone as E.164, an invalid phone as ""."""
    if identity["kind"] != "phone":
        return identity["value"]
    try:
        number = phonenumbers.parse(identity["value"], "CN")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@cache
def graphs() -> dict[str, Any]:
    """tenant -> graph of ids that meet on accepted events."""
    found: dict[str, Any] = defaultdict(nx.Graph)
    for _, event in accepted():
        nx.add_path(found[event["tenant"]], normalised(event))
    return found


@cache
def order_events() -> dict[OrderKey, list[tuple[Sent, dict[str, Any]]]]:
    """Order -> its accepted events in order of receipt."""
    found: dict[OrderKey, list[tuple[Sent, dict[str, Any]]]] = defaultdict(list)
    for sent, event in accepted():
        if event["order_id"] is not None:
            found[event["tenant"], event["order_id"]].append((sent, event))
    return found


def outcome(key: OrderKey) -> tuple[str, int]:
    """What the unpaid-order rule must do about one order, read off its events: (verdict, due_ms)."""
    events = order_events()[key]
    first, begun = next((s, e) for s, e in events if e["event_type"] == "order_submitted")
    due_ms = begun["event_time"] + SPEC.wait_ms
    in_time = [s for s, e in events if e["event_type"] in ENDS and e["event_time"] <= due_ms]
    if begun["amount_fen"] < SPEC.min_amount_fen or any(s.received_ms <= due_ms for s in in_time):
        return "", due_ms
    if first.received_ms > due_ms + SPEC.expiry_ms:
        return "expired", due_ms
    if not reachable(key, normalised(begun), max(due_ms, first.received_ms)):
        return "unreachable", due_ms
    return ("revoked" if in_time else "fires"), due_ms


def reachable(key: OrderKey, ids: list[Id], at_ms: int) -> bool:
    """Whether an id that can be written to was tied to one of these ids by then."""
    if any(kind in REACHABLE for kind, _, _ in ids):
        return True
    known: nx.Graph[Id] = nx.Graph()
    known.add_nodes_from(ids)
    for sent, event in accepted():
        if event["tenant"] == key[0] and sent.received_ms <= at_ms:
            nx.add_path(known, normalised(event))
    return any(kind in REACHABLE for start in ids for kind, _, _ in nx.node_connected_component(known, start))


@cache
def outcomes() -> dict[OrderKey, tuple[str, int]]:
    return {key: outcome(key) for key in order_events()}


def test_an_event_is_refused_for_the_planned_reasons() -> None:
    assert Counter(reason for _, _, reason in judged() if reason) == traffic().truth.refused


def test_every_reason_occurs_and_refusals_are_one_or_two_in_a_hundred() -> None:
    refused = traffic().truth.refused
    assert set(refused) == set(REASONS)
    assert 0.01 < refused.total() / traffic().events < 0.02
    assert refused["too_large"] == 1


def test_accepted_and_duplicate_counts_are_those_of_the_events() -> None:
    sound = sum(not reason for _, _, reason in judged())
    truth = traffic().truth
    assert (truth.accepted, truth.duplicates) == (len(accepted()), sound - len(accepted()))
    assert traffic().events == len(judged())


def test_a_duplicate_is_the_same_event_within_hours() -> None:
    first = {(e["tenant"], e["event_id"]): (s, e) for s, e in accepted()}
    for sent, event, reason in judged():
        if not reason:
            before, same = first[event["tenant"], event["event_id"]]
            assert event == same
            assert sent.received_ms - before.received_ms <= 6 * HOUR_MS


def test_sharing_is_what_the_events_share() -> None:
    for tenant, components in traffic().truth.sharing.items():
        found = {frozenset(c) for c in nx.connected_components(graphs()[tenant])}
        assert set(components) == found


def test_an_id_is_in_exactly_one_component_of_its_tenant() -> None:
    for components in traffic().truth.sharing.values():
        ids = [ident for component in components for ident in component]
        assert len(ids) == len(set(ids))


def test_each_true_person_shows_ids_and_together_they_show_all() -> None:
    truth = traffic().truth
    assert sum(map(len, truth.persons.values())) == SPEC.people
    for tenant, persons in truth.persons.items():
        assert all(persons)
        assert frozenset().union(*persons) == frozenset(graphs()[tenant].nodes)


def test_only_a_device_is_ever_in_two_persons_hands() -> None:
    shared: set[str] = set()
    for persons in traffic().truth.persons.values():
        holders = Counter(ident for person in persons for ident in person)
        shared |= {kind for (kind, _, _), count in holders.items() if count > 1}
    assert shared == {"device_id"}


def test_some_devices_are_shared_at_once_and_some_are_sold_on() -> None:
    users: dict[Id, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for _, event in accepted():
        ids = normalised(event)
        uid = next((value for kind, _, value in ids if kind == "uid"), None)
        device = next((ident for ident in ids if ident[0] == "device_id"), None)
        if uid and device:
            users[event["tenant"], *device[1:]][uid].append(event["event_time"])
    pairs = [sorted(by_uid.values(), key=min) for by_uid in users.values() if len(by_uid) == 2]
    assert {max(first) < min(second) for first, second in pairs} == {True, False}


def test_a_person_has_one_value_per_kind_and_scope() -> None:
    for persons in traffic().truth.persons.values():
        for person in persons:
            kinds = Counter((kind, scope) for kind, scope, _ in person)
            assert max(kinds.values()) == 1


def test_persons_and_sharing_differ_both_ways() -> None:
    persons = {p for group in traffic().truth.persons.values() for p in group}
    sharing = {c for group in traffic().truth.sharing.values() for c in group}
    assert any(len([p for p in persons if not p.isdisjoint(c)]) > 1 for c in sharing)
    assert any(len([c for c in sharing if not p.isdisjoint(c)]) > 1 for p in persons)


def test_strangers_carry_equal_values_in_other_scopes_and_tenants() -> None:
    nodes = {tenant: set(graph.nodes) for tenant, graph in graphs().items()}
    values = Counter((t, kind, v) for t, ids in nodes.items() for kind, _, v in ids)
    assert any(count > 1 for (_, kind, _), count in values.items() if kind == "openid")
    assert nodes["lumi_tea"] & nodes["kape_coffee"]


def test_every_placeholder_is_seen_with_many_strangers() -> None:
    beside: dict[str, set[Id]] = defaultdict(set)
    for _, event in accepted():
        for value in {written(identity) for identity in event["identities"]} & set(BLOCKED):
            beside[value].update(normalised(event)[:1])
    assert set(beside) == set(BLOCKED)
    assert min(map(len, beside.values())) > 2


def test_some_events_carry_only_what_stands_for_nobody() -> None:
    assert any(not normalised(event) for _, event in accepted())
    assert any(not written(i) for _, event in accepted() for i in event["identities"])


def test_the_rule_read_off_the_events_gives_the_planned_triggers() -> None:
    truth = traffic().truth
    found = {key: due_ms for key, (verdict, due_ms) in outcomes().items() if verdict in ("fires", "revoked")}
    assert truth.fires == found
    assert truth.revoked == {key for key, (verdict, _) in outcomes().items() if verdict == "revoked"}
    assert truth.suppressed == {k: v for k, (v, _) in outcomes().items() if v in ("expired", "unreachable")}


@pytest.mark.parametrize("fate", Fate)
def test_every_fate_occurs(fate: Fate) -> None:
    assert any(order.fate is fate for order in traffic().orders)


def test_due_is_the_event_time_of_the_first_submission_plus_the_wait() -> None:
    for key, due_ms in traffic().truth.fires.items():
        submitted = [e for _, e in order_events()[key] if e["event_type"] == "order_submitted"]
        assert due_ms == submitted[0]["event_time"] + SPEC.wait_ms
        assert submitted[0]["amount_fen"] >= SPEC.min_amount_fen


def test_nothing_that_matters_arrives_soon_after_a_deadline() -> None:
    for key, events in order_events().items():
        if key[1] == "SO2026STORY":
            continue
        due_ms = outcomes()[key][1]
        for sent, event in events:
            late_submission = event["event_type"] == "order_submitted" and sent is events[0][0]
            assert late_submission or not due_ms < sent.received_ms < due_ms + SAFE_MS


def test_a_friend_who_pays_shares_no_id_with_the_buyer() -> None:
    whose = {(t, i): c for t, cs in traffic().truth.sharing.items() for c in cs for i in c}
    for order in traffic().orders:
        if order.fate is Fate.PAID_BY_FRIEND:
            assert order.payer.person != order.buyer.person
            assert set(order.payer.ids).isdisjoint(whose[order.tenant, order.buyer.ids[0]])


def test_an_order_id_occurs_in_two_tenants() -> None:
    ids = Counter(order_id for _, order_id in order_events())
    assert max(ids.values()) >= 2


def test_the_boundaries_are_met_to_the_millisecond_and_to_the_fen() -> None:
    amounts = {order.fate: order.amount_fen for order in traffic().orders}
    assert (amounts[Fate.JUST_BELOW_MIN_AMOUNT], amounts[Fate.AT_MIN_AMOUNT]) == (4999, 5000)
    for order in traffic().orders:
        if order.fate is Fate.PAID_AT_DEADLINE:
            sent, event = order_events()[order.key][-1]
            assert sent.received_ms == event["event_time"] == order.submitted_ms + SPEC.wait_ms


def story_path() -> Iterator[tuple[str, str, int]]:
    """(touchpoint, event_type, event_time) of everything that the story's person did."""
    tenant, unionid = traffic().truth.story
    for _, event in accepted():
        if event["tenant"] == tenant and ("unionid", "", unionid) in normalised(event):
            yield event["touchpoint"], event["event_type"], event["event_time"]


def test_the_story_crosses_the_touchpoints_in_its_order_and_times() -> None:
    path = sorted(story_path(), key=lambda step: step[2])
    assert [(touchpoint, event_type) for touchpoint, event_type, _ in path] == [
        ("official_account", "follow"),
        ("miniprogram", "page_view"),
        ("miniprogram", "product_view"),
        ("miniprogram", "order_submitted"),
        ("order", "order_paid"),
        ("h5", "share"),
        ("h5", "invite_accepted"),
    ]
    minutes = [(at_ms - path[0][2]) // 60_000 for _, _, at_ms in path]
    assert minutes == [0, 2, 14, 40, 162, 800, 831]
    assert path[0][2] == SPEC.start_ms + 103 * 60_000


# Hostile sharing

HOSTILE = TrafficSpec(people=400, events_per_person=25, seed=11, tills=1, recycled=0.5)


@cache
def hostile() -> Traffic:
    return plan(HOSTILE)


def _shown_together() -> dict[tuple[str, Id], set[Id]]:
    """The ids with which each id stands on sound events."""
    found: dict[tuple[str, Id], set[Id]] = defaultdict(set)
    for sent in hostile():
        if sent.event is not None and not reason_to_refuse(sent, sent.event):
            ids = {identity_of(one) for one in sent.event["identities"] if one["value"] not in ("12345", "1380013")}
            for one in ids:
                found[sent.event["tenant"], one] |= ids - {one}
    return found


def identity_of(one: dict[str, Any]) -> Id:
    value = one["value"]
    if one["kind"] == "phone" and sum(char.isdigit() for char in value) > 10:
        value = "+86" + "".join(char for char in value if char.isdigit())[-11:]
    return (one["kind"], one["scope"] or "", value)


def test_a_tills_phone_stands_with_many_customers_and_is_nobodys() -> None:
    owned = {(tenant, one) for tenant, people in hostile().truth.persons.items() for ids in people for one in ids}
    shown = {key: others for key, others in _shown_together().items() if key[1][0] == "phone" and key not in owned}
    cards = {key: sum(other[0] == "member_card" for other in others) for key, others in shown.items()}
    assert sum(count > 15 for count in cards.values()) >= 1


def test_a_recycled_phone_is_shown_by_another_after_its_owner_gave_it_back() -> None:
    owner = {
        (t, one): at for t, people in hostile().truth.persons.items() for at, ids in enumerate(people) for one in ids
    }
    openids = {key: {o for o in others if o[0] == "openid"} for key, others in _shown_together().items()}
    owners = [
        {owner[tenant, one] for one in ids if (tenant, one) in owner}
        for (tenant, (kind, _, _)), ids in openids.items()
        if kind == "phone"
    ]
    assert sum(len(each) == 2 for each in owners) >= 3


def test_sharing_joins_what_evidence_keeps_apart() -> None:
    truth = hostile().truth
    assert max(len(group) for groups in truth.sharing.values() for group in groups) > 50
    assert max(len(group) for groups in truth.evidence.values() for group in groups) < 25
