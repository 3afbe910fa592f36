"""Prometheus asks where services answer, and the dashboard shows only what they count."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import PROCESS_COLLECTOR, REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from chassis import metrics
from gateway_ingest.application import counting
from ledger.application import measures

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATION = ROOT / "deploy/compose"
SAMPLES: dict[type[Any], tuple[str, ...]] = {
    Counter: ("_total",),
    Gauge: ("",),
    Histogram: ("_bucket", "_sum", "_count"),
}
BY_PROMETHEUS = {"le", "service"}
UP = "up"
"""Prometheus's own: whether a process answered it."""
NAME = re.compile(rf"\b(?:gridledger_[a-z_]+|process_[a-z_]+|{UP})\b")
LABELS = re.compile(r"(?:by|without) \(([^)]*)\)|\{([^{}]*)\}")


@cache
def counted() -> dict[str, set[str]]:
    """Every series that a process of ours shows → its labels."""
    found: dict[str, set[str]] = {}
    for module in (metrics, counting, measures):
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                for suffix in SAMPLES[type(metric)]:
                    found[f"{metric._name}{suffix}"] = set(metric._labelnames)
    found |= {metric.name: set() for metric in PROCESS_COLLECTOR.collect()}
    return found


def expressions() -> list[str]:
    board = json.loads((CONFIGURATION / "grafana/dashboards/gridledger.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def labels(expression: str) -> set[str]:
    named: set[str] = set()
    for grouped, chosen in LABELS.findall(expression):
        named.update(part.strip() for part in grouped.split(",") if part.strip())
        named.update(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", chosen))
    return named


def test_there_is_something_to_show() -> None:
    assert len(counted()) > 15
    assert len(expressions()) > 10


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_shows_what_is_counted(expression: str) -> None:
    series = NAME.findall(expression)
    assert series
    known = counted() | {UP: set()}
    assert [name for name in series if name not in known] == []
    known_labels = set().union(*(known[name] for name in series)) | BY_PROMETHEUS
    assert labels(expression) - known_labels == set()


@pytest.mark.parametrize(
    "what",
    [
        *("ingest_events", "buy-now", "consumer_lag", "partitions_owned", "bus_failures", "dead_letters"),
        *("relayed_records", "relay_waiting", "request_duration", "process_start_time_seconds", f"{UP} == 0"),
    ],
)
def test_the_dashboard_shows_what_matters(what: str) -> None:
    assert any(what in expression for expression in expressions())


def test_a_process_shows_when_it_started() -> None:
    """A counter of crashes would die with what crashed."""
    shown = generate_latest(REGISTRY).decode()
    assert re.search(r"^process_start_time_seconds \d", shown, re.MULTILINE)


def test_prometheus_asks_every_service_at_its_port() -> None:
    jobs = yaml.safe_load((CONFIGURATION / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    asked = {target for job in jobs for group in job["static_configs"] for target in group["targets"]}
    named = {group["labels"]["service"] for job in jobs for group in job["static_configs"]}
    recipes = {path.parent.name: path.read_text() for path in ROOT.glob("services/*/Dockerfile")}
    ports = {name: re.search(r"\bPORT=(\d+)", recipe) for name, recipe in recipes.items()}
    assert asked == {f"{name}:{port[1]}" for name, port in ports.items() if port is not None}
    assert named == set(recipes)


def test_grafana_finds_its_data_where_the_dashboard_looks_for_it() -> None:
    sources = yaml.safe_load((CONFIGURATION / "grafana/provisioning/datasources/prometheus.yml").read_text())
    board = json.loads((CONFIGURATION / "grafana/dashboards/gridledger.json").read_text())
    known = {source["uid"] for source in sources["datasources"]}
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == known
    (provider,) = yaml.safe_load((CONFIGURATION / "grafana/provisioning/dashboards/gridledger.yml").read_text())[
        "providers"
    ]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/compose/grafana/dashboards:{provider['options']['path']}:ro" in mounts
