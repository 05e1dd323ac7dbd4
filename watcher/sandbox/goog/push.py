"""Watch channels and their notifications (guides/push)."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from watcher.sandbox.goog.errors import ApiError, bad_request
from watcher.sandbox.goog.store import Store

DEFAULT_TTL = 604_800
RETRIED = (500, 502, 503, 504)


@dataclass
class Channel:
    """One channel as Google knows it."""

    id: str
    user: str
    calendar: str
    resource_id: str
    address: str
    token: str
    expires: datetime
    number: int = 0
    alive: bool = True


class Pusher:
    """Delivers notifications from its own threads; ``drop``, ``double`` and ``shuffle`` are
    probabilities of trouble on the way."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.channels: dict[str, Channel] = {}
        self.used: set[str] = set()
        self.max_ttl = 30 * 86_400
        self.drop = self.double = self.shuffle = 0.0
        self.early_sync = True
        self.delivered = self.failed = 0
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="push")
        self._local = threading.local()
        store.on_change = self.changed

    def watch(self, user: str, calendar_id: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.store.lock:
            calendar = self.store.calendar(user, calendar_id)
            self._check(body)
            if not calendar.watchable:
                raise bad_request("pushNotSupportedForRequestedResource",
                                  "Push notifications are not supported by this resource.")  # fmt: skip
            self.used.add(body["id"])
            resource = hashlib.sha256(f"{user}/{calendar.id}".encode()).hexdigest()[:27]
            channel = Channel(
                body["id"], user, calendar.id, resource, body["address"], body.get("token", ""),
                self._expiry(body),
            )  # fmt: skip
            self.channels[channel.id] = channel
        if self.early_sync:
            self._deliver(channel, "sync")
        else:
            self._pool.submit(self._deliver, channel, "sync")
        return {
            "kind": "api#channel", "id": channel.id, "resourceId": resource,
            "resourceUri": _uri(channel), "token": channel.token,
            "expiration": str(int(channel.expires.timestamp() * 1000)),
        }  # fmt: skip

    def _check(self, body: dict[str, Any]) -> None:
        for name in ("id", "type", "address"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise bad_request("required", f"Required: {name}")
        if len(body["id"]) > 64 or body["type"] not in ("web_hook", "webhook"):
            raise bad_request("push.channelIdInvalid", "Invalid channel id or type")
        if len(body.get("token", "")) > 256:
            raise bad_request("invalid", "The channel token is too long")
        if body["id"] in self.used:
            raise bad_request("channelIdNotUnique", f"Channel id {body['id']} not unique")
        parts = urlsplit(body["address"])
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ApiError(401, "push.webhookUrlNotHttps", "WebHook callback must be HTTPS")

    def _expiry(self, body: dict[str, Any]) -> datetime:
        now = self.store.now()
        ttl = float(body.get("params", {}).get("ttl", DEFAULT_TTL))
        if "expiration" in body:
            ttl = float(body["expiration"]) / 1000 - now.timestamp()
        if ttl <= 0:
            raise bad_request("invalid", "Invalid ttl value for channel")
        return now + timedelta(seconds=min(ttl, self.max_ttl))

    def stop(self, user: str, body: dict[str, Any]) -> None:
        with self.store.lock:
            channel = self.channels.get(str(body.get("id")))
            known = channel is not None and channel.alive and channel.user == user
            if channel is None or not known or channel.resource_id != body.get("resourceId"):
                raise ApiError(404, "notFound",
                               f"Channel '{body.get('id')}' not found for project '1'", "global")  # fmt: skip
            channel.alive = False

    def changed(self, calendar_id: str) -> None:
        with self.store.lock:
            now = self.store.now()
            reached = [
                c
                for c in self.channels.values()
                if c.calendar == calendar_id and c.alive and c.expires > now
            ]
        for channel in reached:
            if random.random() < self.drop:
                continue
            times = 2 if random.random() < self.double else 1
            for _ in range(times):
                pause = random.uniform(0, 1.0) if random.random() < self.shuffle else 0.0
                self._pool.submit(self._later, channel, pause)

    def _later(self, channel: Channel, pause: float) -> None:
        time.sleep(pause)
        self._deliver(channel, "exists")

    def _deliver(self, channel: Channel, state: str) -> None:
        with self.store.lock:
            channel.number += 1 if channel.number == 0 else random.randint(1, 400)
            number = channel.number
        headers = {
            "Content-Type": "application/json; utf-8", "User-Agent": "APIs-Google",
            "X-Goog-Channel-ID": channel.id, "X-Goog-Message-Number": str(number),
            "X-Goog-Resource-ID": channel.resource_id, "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": _uri(channel),
            "X-Goog-Channel-Expiration":
                f"{channel.expires.astimezone(UTC):%a, %d %b %Y %H:%M:%S GMT}",
        }  # fmt: skip
        if channel.token:
            headers["X-Goog-Channel-Token"] = channel.token
        for attempt in range(6):
            try:
                answer = self._session().post(channel.address, headers=headers, timeout=10)
            except requests.RequestException:
                status = 503
            else:
                status = answer.status_code
            if status not in RETRIED:
                break
            time.sleep(0.2 * 2**attempt)
        good = status in (102, 200, 201, 202, 204)
        self.delivered += good
        self.failed += not good

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _uri(channel: Channel) -> str:
    name = quote(channel.calendar, safe="")
    return f"https://www.googleapis.com/calendar/v3/calendars/{name}/events?alt=json"
