"""Seeded traffic with known ground truth: the oracle that the pipeline is judged by.

In: a `TrafficSpec`. Out: a `Traffic`: its `Truth`, and an iteration over `Sent` records in order of receipt.
Never: imports anything of the pipeline, reads a clock, or derives the truth from events: people, their ids and the
fates of orders are planned first, and events are written from the plan.
"""

from bench.traffic.fates import Fate
from bench.traffic.faults import BYTE_FAULTS, REASONS
from bench.traffic.jsonl import write_jsonl
from bench.traffic.orders import Order
from bench.traffic.plan import Traffic, plan
from bench.traffic.spec import BLOCKED, HEARTBEAT, SOURCES, Id, OrderKey, Sent, TrafficSpec, Truth

__all__ = [
    "BLOCKED",
    "BYTE_FAULTS",
    "HEARTBEAT",
    "REASONS",
    "SOURCES",
    "Fate",
    "Id",
    "Order",
    "OrderKey",
    "Sent",
    "Traffic",
    "TrafficSpec",
    "Truth",
    "plan",
    "write_jsonl",
]
