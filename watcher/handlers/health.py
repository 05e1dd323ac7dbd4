"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select

from watcher.handlers import context
from watcher.ledger import models, overview
from watcher.ledger.document import Light, Status
from watcher.ledger.problems import Problem
from watcher.services import Services

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
            counters = {row.name: row.value for row in session.scalars(select(models.Counter))}
            totals = session.execute(
                select(
                    func.count(models.Run.id),
                    func.sum(models.Run.created),
                    func.sum(models.Run.updated),
                    func.sum(models.Run.cancelled),
                    func.sum(models.Run.refused),
                )
            ).one()
        yield from _of_status(status)
        yield GaugeMetricFamily("watcher_runs_kept", "Syncs in the diary", value=totals[0])
        kinds = ("created", "updated", "cancelled", "refused")
        written = {kind: value or 0 for kind, value in zip(kinds, totals[1:], strict=True)}
        yield _family("watcher_writes_kept", "Writes in the diary", kind=written)
        for name, value in counters.items():
            yield CounterMetricFamily(f"watcher_{name}", "Counted in the ledger", value=value)


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
