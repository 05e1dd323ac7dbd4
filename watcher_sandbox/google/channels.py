"""Watch channels: asked for, told of changes, stopped, expired.

https://developers.google.com/workspace/calendar/api/guides/push
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import GoogleError, invalid, required
from watcher_sandbox.google.model import Json
from watcher_sandbox.google.push import Pusher

PROJECT = "123456789012"
_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_MAX_TOKEN = 256


@dataclass(slots=True)
class Channel:
    """One channel. ``resource`` is what it watches: a calendar id, or "calendarList"."""

    id: str
    user: str
    client: str
    resource: str
    resource_id: str
    resource_uri: str
    address: str
    token: str | None = field(repr=False)
    expiration: datetime
    by_service_account: bool = False
    number: int = 0
    mute: bool = False
    killed: bool = False
    stops: int = 0
    late: int = 0


class Channels:
    """All channels ever made. The caller holds the state's lock; sending is in the background."""

    def __init__(self, clock: Clock, behaviour: Behaviour, pusher: Pusher) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._pusher = pusher
        self._rng = random.Random()
        self.all: dict[str, Channel] = {}
        self.unauthorized_hosts: set[str] = set()

    # --- events.watch ---------------------------------------------------------------------

    def open(
        self,
        body: Json,
        user: str,
        client: str,
        resource: str,
        uri: str,
        by_service_account: bool = False,
        mute: bool = False,
    ) -> Channel:
        """Check the request and make the channel; ``first_notice`` then sends its ``sync``
        message."""
        self._check(body)
        channel = Channel(
            id=body["id"],
            user=user,
            client=client,
            resource=resource,
            resource_id=_resource_id(user, resource),
            resource_uri=uri,
            address=body["address"],
            token=body.get("token"),
            expiration=self._expiration(body),
            by_service_account=by_service_account,
            mute=mute,
        )
        self.all[channel.id] = channel
        return channel

    def first_notice(self, channel: Channel) -> None:
        """The `sync` message, number 1."""
        self._send(channel, "sync")

    def answer(self, channel: Channel) -> Json:
        """What events.watch returns."""
        found: Json = {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": channel.resource_uri,
            "expiration": str(int(channel.expiration.timestamp() * 1000)),
        }
        return found if channel.token is None else found | {"token": channel.token}

    # --- channels.stop --------------------------------------------------------------------

    def stop(self, body: Json, user: str, client: str) -> None:
        """404 for a channel that does not exist, or is another caller's."""
        for name in ("id", "resourceId"):
            if not body.get(name):
                raise required(name)
        channel = self.all.get(str(body["id"]))
        if channel is None or not self._may_stop(channel, body, user, client):
            message = f"Channel '{body['id']}' not found for project '{PROJECT}'"
            raise GoogleError(404, "notFound", message)
        channel.stops += 1
        channel.late = self._behaviour.late_notices if channel.stops == 1 else channel.late

    def _may_stop(self, channel: Channel, body: Json, user: str, client: str) -> bool:
        return (
            channel.resource_id == body["resourceId"]
            and channel.client == client
            and (channel.by_service_account or channel.user == user)
            and channel.stops < self._behaviour.stops_before_404
            and channel.expiration > self._clock.now()
        )

    # --- changes --------------------------------------------------------------------------

    def changed(self, resource: str, readers: Any) -> None:
        """Tell each live channel of this resource whose user can still read it."""
        for channel in list(self.all.values()):
            if channel.resource != resource or channel.user not in readers:
                continue
            if self.is_live(channel):
                self._send(channel, "exists")
            elif channel.stops and channel.late > 0:
                channel.late -= 1
                self._send(channel, "exists")

    def is_live(self, channel: Channel) -> bool:
        gone = channel.stops or channel.killed
        return not gone and channel.expiration > self._clock.now()

    def kill(self, resource: str | None = None) -> int:
        """End channels without a word, as Google sometimes does; returns how many."""
        found = [
            channel
            for channel in self.all.values()
            if self.is_live(channel) and resource in (None, channel.resource)
        ]
        for channel in found:
            channel.killed = True
        return len(found)

    def notify(self, channel_id: str, state: str = "exists") -> None:
        """Send one message of the channel now, whatever its state."""
        self._send(self.all[channel_id], state)

    def _send(self, channel: Channel, state: str) -> None:
        # Numbers grow with gaps; 1 is the sync message's.
        step = self._rng.choice((1, 1, 2, 3, 17, 4000))
        channel.number = 1 if channel.number == 0 else channel.number + step
        headers = self.headers(channel, state)
        if state == "sync":
            if self._behaviour.sync_before_answer:
                self._pusher.deliver_now(channel.id, channel.address, headers)
            else:
                self._pusher.send(channel.id, channel.address, headers)
        elif not channel.mute:
            self._pusher.send(channel.id, channel.address, headers)

    def headers(self, channel: Channel, state: str) -> dict[str, str]:
        """The X-Goog headers of a message."""
        found = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(
                channel.expiration.astimezone(UTC), usegmt=True
            ),
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(channel.number),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-URI": channel.resource_uri,
        }
        return found if channel.token is None else found | {"X-Goog-Channel-Token": channel.token}

    # --- checks ---------------------------------------------------------------------------

    def _check(self, body: Json) -> None:
        for name in ("id", "type", "address"):
            if not body.get(name):
                raise required(name)
        if not isinstance(body["id"], str) or not _ID.fullmatch(body["id"]):
            raise invalid("id", "Invalid channel id.", "push.channelIdInvalid")
        if body["type"] not in ("web_hook", "webhook"):
            message = f"Channel type {body['type']} not supported."
            raise invalid("type", message, "push.channelTypeNotSupported")
        if len(str(body.get("token") or "")) > _MAX_TOKEN:
            raise invalid("token", "Channel token is too long.")
        self._check_address(str(body["address"]))
        if body["id"] in self.all:
            raise GoogleError(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")

    def _check_address(self, address: str) -> None:
        parts = urlsplit(address)
        if not parts.hostname:
            raise _callback("push.webhookUrlNoHostOrAddress", address)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise _callback("push.webhookUrlNotHttps", address)
        if parts.hostname in self.unauthorized_hosts:
            message = f"Unauthorized WebHook callback channel: {address}"
            raise GoogleError(401, "push.webhookUrlUnauthorized", message)

    def _expiration(self, body: Json) -> datetime:
        """When the channel ends: as was asked, but no later than the limit allows."""
        now = self._clock.now()
        asked = self._behaviour.default_channel_ttl
        try:
            ttl = (body.get("params") or {}).get("ttl")
            if ttl is not None:
                asked = float(int(ttl))
            elif body.get("expiration") is not None:
                asked = int(body["expiration"]) / 1000 - now.timestamp()
        except (TypeError, ValueError, AttributeError):
            asked = -1.0
        if asked <= 0:
            raise invalid("ttl", "Invalid ttl value for channel")
        return now + timedelta(seconds=min(asked, self._behaviour.max_channel_ttl))


def _callback(reason: str, address: str) -> GoogleError:
    what = "not HTTPS" if reason.endswith("NotHttps") else "without a host"
    return GoogleError(400, reason, f"WebHook callback is {what}: {address}")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resource_id(user: str, resource: str) -> str:
    """The same for each channel of a user on a resource."""
    digest = hashlib.sha256(f"{user}\n{resource}".encode()).digest()[:20]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
