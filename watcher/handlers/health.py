"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select

from watcher.handlers.context import readiness, services, tally
from watcher.ledger import overview
from watcher.ledger.models import Counter, Run
from watcher.services import Services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when a notification could be recorded now; Redis is told, but does not decide."""
    seen = readiness().now()
    ready = seen.ledger == "ok"
    word = "ok" if ready else "unavailable"
    return jsonify(status=word, ledger=seen.ledger, queue=seen.queue), 200 if ready else 503


@bp.get("/metrics")
def metrics() -> Response:
    """Prometheus: gauges from the ledger as it is now, and this process's counters."""
    tally().flush()
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services()))
    text = generate_latest(REGISTRY) + generate_latest(registry)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


@bp.get("/robots.txt")
def robots() -> Response:
    """Nothing is forbidden: Google's pushes obey robots.txt, a Disallow would silence them."""
    return Response("User-agent: *\nAllow: /\n", mimetype="text/plain")


class LedgerCollector(Collector):
    """The overview as metrics."""

    def __init__(self, app: Services) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        now = self._app.clock()
        with self._app.db.reading() as session:
            status = overview.status(self._app.db, session, now, self._app.doorbell.lengths())
            counters = {row.name: row.value for row in session.scalars(select(Counter))}
            totals = session.execute(
                select(
                    func.count(Run.id),
                    func.sum(Run.created),
                    func.sum(Run.updated),
                    func.sum(Run.cancelled),
                    func.sum(Run.refused),
                )
            ).one()
        yield GaugeMetricFamily(
            "watcher_healthy", "1 when nothing needs a person", value=float(status["healthy"])
        )
        for part in ("accounts", "calendars"):
            family = GaugeMetricFamily(f"watcher_{part}", f"{part} by state", labels=["state"])
            for state, count in status[part].items():
                family.add_metric([state], count)
            yield family
        yield GaugeMetricFamily(
            "watcher_channels_live", "Live channels", value=status["channels"]["live"]
        )
        yield GaugeMetricFamily(
            "watcher_channels_missing",
            "Watchable calendars without a channel",
            value=status["channels"]["missing"],
        )
        queue = GaugeMetricFamily("watcher_queue_jobs", "Jobs waiting", labels=["lane"])
        for lane in ("live", "backfill"):
            queue.add_metric([lane], status["queue"][lane])
        yield queue
        fresh = GaugeMetricFamily(
            "watcher_freshness_seconds",
            "Google's change to ERPNext, last 24 h",
            labels=["quantile"],
        )
        for quantile in ("p50", "p95", "p99"):
            if status["freshness_seconds"][quantile] is not None:
                fresh.add_metric([quantile], status["freshness_seconds"][quantile])
        yield fresh
        yield GaugeMetricFamily(
            "watcher_quarantined", "Events set aside", value=status["quarantined"]
        )
        yield GaugeMetricFamily("watcher_runs_kept", "Syncs in the diary", value=totals[0])
        writes = GaugeMetricFamily("watcher_writes_kept", "Writes in the diary", labels=["kind"])
        for kind, value in zip(
            ("created", "updated", "cancelled", "refused"), totals[1:], strict=True
        ):
            writes.add_metric([kind], value or 0)
        yield writes
        for name, value in counters.items():
            yield CounterMetricFamily(f"watcher_{name}", "Counted in the ledger", value=value)
