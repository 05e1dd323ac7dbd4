"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from watcher.handlers import context
from watcher.ledger import counters, overview
from watcher.ledger.document import Light, Status
from watcher.ledger.problems import Problem
from watcher.services import Services
from watcher.telemetry import counts as counting

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when a notification could be recorded now; Redis is told, but does not decide."""
    seen = context.readiness().now()
    ready = seen.ledger == "ok"
    word = "ok" if ready else "unavailable"
    return jsonify(status=word, ledger=seen.ledger, queue=seen.queue), 200 if ready else 503


@bp.get("/metrics")
def metrics() -> Response:
    """Prometheus: gauges from the ledger as it is now, and this process's counters."""
    context.tally().flush_for_reader()
    registry = CollectorRegistry()
    registry.register(LedgerCollector(context.services(), context.readiness().now().refusal))
    text = generate_latest(REGISTRY) + generate_latest(registry)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


@bp.get("/robots.txt")
def robots() -> Response:
    """Nothing is forbidden: Google's pushes obey robots.txt, a Disallow would silence them."""
    return Response("User-agent: *\nAllow: /\n", mimetype="text/plain")


class LedgerCollector(Collector):
    """The overview as metrics."""

    def __init__(self, app: Services, refusal: str) -> None:
        self._app, self._refusal = app, refusal

    def collect(self) -> Iterator[Metric]:
        status = overview.look(self._app, refusal=self._refusal)
        with self._app.db.reading() as session:
            counts = counters.read(session)
        yield from _of_status(status)
        yield from _of_counts(counts)


def _of_counts(counts: Mapping[str, int]) -> Iterator[Metric]:
    passes, writes = _group(counts, counters.PASSES), _group(counts, counters.WRITES)
    yield _counted("watcher_passes", "Passes over a calendar", "kind", passes)
    yield _counted("watcher_writes", "Rows written in ERPNext", "kind", writes)
    heard = _group(counts, counting.HEARD)
    yield _counted("watcher_pushes_heard", "Genuine notifications", "outcome", heard)
    calls = CounterMetricFamily(
        "watcher_calls", "Calls to the two sides, by what came of them", labels=["side", "result"]
    )
    for name, number in sorted(_group(counts, counting.CALLS).items()):
        calls.add_metric(name.split("/"), number)
    yield calls
    fresh = _group(counts, counters.FRESHNESS)
    reached, buckets = 0, []
    for edge in (*(str(each) for each in counters.BUCKETS), counters.BEYOND):
        reached += fresh.get(edge, 0)
        buckets.append((edge, float(reached)))
    what = "From a change in Google, of which a push told, to ERPNext"
    family = HistogramMetricFamily("watcher_change_seconds", what)
    family.add_metric([], buckets, counts.get(counters.FRESHNESS_MS, 0) / 1000)
    yield family
    for name, value in counts.items():
        if "/" not in name and name != counters.FRESHNESS_MS:
            yield CounterMetricFamily(f"watcher_{name}", "Of all processes", value=value)


def _of_status(status: Status) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "watcher_healthy", "1 when nothing needs a person", value=float(status.healthy)
    )
    lights = {light.value: float(light == status.light) for light in Light}
    yield _family("watcher_light", "1 for the colour of the light, else 0", colour=lights)
    yield _problems("watcher_problems", "What needs a person, by cause", status.problems)
    yield _problems("watcher_warnings", "What needs nobody so far, by cause", status.warnings)
    yield _family("watcher_accounts", "accounts by state", state=asdict(status.accounts))
    yield _family("watcher_calendars", "calendars by state", state=asdict(status.calendars))
    yield GaugeMetricFamily("watcher_channels_live", "Heard channels", value=status.channels.live)
    yield GaugeMetricFamily(
        "watcher_channels_silent",
        "Channels that no message came from so far",
        value=status.channels.silent,
    )
    yield GaugeMetricFamily(
        "watcher_channels_missing",
        "Watchable calendars without a channel",
        value=status.channels.missing,
    )
    jobs = {"live": status.queue.live, "backfill": status.queue.backfill}
    yield _family("watcher_queue_jobs", "Jobs waiting", lane=jobs)
    yield GaugeMetricFamily(
        "watcher_oldest_change_seconds",
        "How long the oldest known change has waited",
        value=status.queue.oldest_seconds,
    )
    yield _family("watcher_processes", "Processes that run", kind=asdict(status.processes))
    fresh = status.freshness_seconds
    shown = {"p50": fresh.p50, "p95": fresh.p95, "p99": fresh.p99}
    known = {name: value for name, value in shown.items() if value is not None}
    what = "Google's change to ERPNext, last 24 h"
    yield _family("watcher_freshness_seconds", what, quantile=known)
    yield GaugeMetricFamily("watcher_quarantined", "Events set aside", value=status.quarantined)


def _group(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


def _counted(name: str, what: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, what, labels=[label])
    for word, number in sorted(values.items()):
        family.add_metric([word], number)
    return family


def _problems(name: str, what: str, problems: Sequence[Problem]) -> GaugeMetricFamily:
    """How many calendars (or accounts) each cause has hold of."""
    family = GaugeMetricFamily(name, what, labels=["state", "cause"])
    counted: Counter[tuple[str, str]] = Counter()
    for problem in problems:
        counted[problem.state, problem.cause] += problem.count or problem.calendars or 1
    for labels, number in counted.items():
        family.add_metric(labels, number)
    return family


def _family(name: str, what: str, **values: Mapping[str, float]) -> GaugeMetricFamily:
    """A gauge with one label, which is given as ``label={word: value}``."""
    ((label, numbers),) = values.items()
    family = GaugeMetricFamily(name, what, labels=[label])
    for word, number in numbers.items():
        family.add_metric([word], number)
    return family
