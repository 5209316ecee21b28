"""Metrics as data: well named, all explained, and the page about them is theirs."""

import re
from pathlib import Path

import pytest

from streams.observe.catalogue import GROUPS, LABELS, METRICS, Metric, document

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "metrics.md"


def test_the_page_says_what_the_catalogue_says() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == document(), "run `python -m streams.observe.catalogue`"


def test_no_metric_is_there_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    assert sum(map(len, GROUPS.values())) == len(names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants(metric: Metric) -> None:
    assert re.fullmatch(r"siyu_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert re.search(r"_(ms|milliseconds|minutes|kb|mb)(_|$)", metric.name) is None
    assert not metric.unit or metric.name.removesuffix("_total").endswith(f"_{metric.unit}")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_says_what_it_means_in_a_sentence(metric: Metric) -> None:
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")
    assert set(metric.labels) <= set(LABELS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_buckets_belong_to_histograms_and_rise(metric: Metric) -> None:
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_no_label_is_explained_that_nothing_has() -> None:
    assert set(LABELS) == {label for metric in METRICS for label in metric.labels}


def test_what_workers_measure_is_in_the_catalogue() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "streams" / "worker").rglob("*.py")]
    measured = {name for text in sources for name in re.findall(r'"(siyu_[a-z_]+)"', text)}
    assert measured <= {metric.name for metric in METRICS}
