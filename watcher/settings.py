"""Every setting, declared once: name, type, default, help, and whether it is a secret.

Sources, first one wins: environment, then one settings file (``given.files.find``). Every secret
``X`` may be given as ``X_FILE``, a path. ``load`` reports all problems together, in one
``UserError``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from watcher.errors import UserError, joined, sentence
from watcher.given import addresses, files, lines, names, needed, queue_url, sentences, titles
from watcher.given.addresses import LOOPBACK as LOOPBACK
from watcher.given.needed import NEEDED as NEEDED
from watcher.given.sentences import BadSettings as BadSettings

PREFIX = "WATCHER_"
CommaList = tuple[str, ...]


class Settings(BaseModel):
    """The whole configuration of one Watcher installation (see docs/settings.md)."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    data_dir: Path = Field(
        default=Path("./watcher-data"),
        description="SQLite file, embedded Valkey, made keys",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL; SQLite in the data directory when empty",
    )
    redis_url: str = Field(
        default="",
        description="RQ's Redis or Valkey; embedded one of `watcher up` when empty",
    )
    secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description="comma-separated keys, the first one encrypts",
    )
    public_url: str = Field(default="", description="the https address that Google reaches")
    admin_emails: CommaList = Field(default=(), description="who may sign in to the dashboard")

    google_client_id: str = Field(default="", description="OAuth client (web application)")
    google_client_secret: SecretStr = Field(
        default=SecretStr(""), description="secret of the OAuth client"
    )
    google_service_account_file: str = Field(
        default="", description="service account key for domain-wide delegation"
    )
    delegation_allow: CommaList = Field(
        default=(), description="addresses or @domains the service account may act for"
    )
    find_calendars: Literal["no", "admins", "employees", "both"] = Field(
        default="no", description="who may look for a person's further calendars at Google"
    )
    google_api_url: str = Field(
        default="https://www.googleapis.com", description="root of the Calendar API"
    )
    google_auth_url: str = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth",
        description="consent page",
    )
    google_token_url: str = Field(
        default="https://oauth2.googleapis.com/token",
        description="token endpoint, also the service account's",
    )
    google_revoke_url: str = Field(
        default="https://oauth2.googleapis.com/revoke",
        description="revocation endpoint",
    )
    google_certs_url: str = Field(
        default="https://www.googleapis.com/oauth2/v1/certs",
        description="certificates for ID tokens (PEM map or JWK set)",
    )

    erpnext_url: str = Field(default="", description="the ERPNext site")
    erpnext_api_key: str = Field(default="", description="API key of the integration user")
    erpnext_api_secret: SecretStr = Field(
        default=SecretStr(""), description="API secret of the integration user"
    )
    erpnext_time_zone: str = Field(default="", description="read from the site when empty")

    company_name: str = Field(default="", description="the company's name on employees' pages")
    window_past_days: int = Field(default=7, ge=0, le=3650, description="mirror this far back")
    window_future_days: int = Field(default=30, ge=1, le=3650, description="mirror this far ahead")
    default_event_type: Literal["Public", "Private"] = Field(
        default="Public", description="event_type of ordinary events"
    )
    private_events: Literal["busy", "private", "skip"] = Field(
        default="busy", description="what becomes of private events"
    )
    busy_title: titles.Title = Field(
        default="Busy", description="the title of private events in ERPNext"
    )
    free_title: titles.Title = Field(
        default="Private", description="the same, of those that leave their owner free"
    )
    declined_events: Literal["skip", "mirror"] = Field(
        default="skip", description="what becomes of events the employee declined"
    )
    event_colour: Literal["no", "plain", "person", "outlet"] = Field(
        default="no", description="the colour of mirrored events in ERPNext's calendar"
    )
    cancelled_events: Literal["cancel", "delete"] = Field(
        default="cancel", description="what becomes of events that are gone in Google"
    )
    leaving_events: Literal["keep", "cancel", "delete"] = Field(
        default="cancel", description="what becomes of the events of an employee who disconnects"
    )
    poll_minutes: float = Field(default=30, gt=0, description="safety poll of watched calendars")
    unwatched_poll_minutes: float = Field(
        default=5, gt=0, description="poll of calendars without push"
    )
    sweep_seconds: float = Field(
        default=15,
        gt=0,
        description="how often work that no worker has taken up is handed out again",
    )
    channel_ttl_seconds: int = Field(
        default=604800, ge=60, description="channel life asked of Google"
    )
    renew_per_minute: int = Field(default=300, ge=1, description="cap on new channels a minute")
    google_calls_per_day: int = Field(
        default=1_000_000, ge=1_000, description="calls of Google's API a day for the whole project"
    )
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="mail server, for notices to admins and connect links",
    )
    notify_webhook_url: SecretStr = Field(
        default=SecretStr(""), description="Slack-compatible webhook that is told the same"
    )
    notify_from: str = Field(default="", description="sender of these mails")
    trusted_proxies: CommaList = Field(
        default=("127.0.0.1", "::1"),
        description="addresses or networks of proxies whose X-Forwarded-For is believed",
    )
    audit_days: int = Field(
        default=400, ge=1, le=3650, description="how long the audit trail is kept"
    )
    log_format: Literal["", "console", "json"] = Field(
        default="", description="console on a terminal, else json"
    )
    log_level: Literal["debug", "info", "warning"] = Field(
        default="info", description="from which level on the running processes log"
    )

    @field_validator("admin_emails", "delegation_allow", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "google_api_url",
        "google_auth_url",
        "google_token_url",
        "google_revoke_url",
        "google_certs_url",
        "erpnext_url",
        "public_url",
    )
    @classmethod
    def _url(cls, value: str) -> str:
        return addresses.checked(value)

    @field_validator("public_url")
    @classmethod
    def _https(cls, value: str) -> str:
        addresses.public(value)
        addresses.bare(value, sentence("Watcher's pages and Google's messages begin at its root"))
        return value

    @field_validator("admin_emails")
    @classmethod
    def _mailboxes(cls, value: CommaList) -> CommaList:
        addresses.of_mailboxes(value)
        return value

    @field_validator("delegation_allow")
    @classmethod
    def _allowed(cls, value: CommaList) -> CommaList:
        addresses.of_mailboxes_or_domains(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _queue(cls, value: str) -> str:
        return queue_url.checked(value)

    @field_validator("erpnext_url")
    @classmethod
    def _site(cls, value: str) -> str:
        addresses.bare(value, sentence("the site, without /app, /desk or a page of it"))
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: CommaList) -> CommaList:
        addresses.networks(value)
        return value

    @field_validator("erpnext_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError(sentence("is not an IANA time zone such as Asia/Kolkata"))
        return value

    @field_validator("secret_keys")
    @classmethod
    def _keys(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split(","):
            if key.strip() and len(key.strip()) < 32:
                raise ValueError(
                    sentence("each key needs at least 32 characters (`watcher init` makes one)")
                )
        return value

    @field_validator("smtp_url", "notify_webhook_url")
    @classmethod
    def _secret_url(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        kinds = ("smtp", "smtps") if info.field_name == "smtp_url" else ("http", "https")
        addresses.of_kind(value.get_secret_value(), kinds)
        return value

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger: the one that is set, or the SQLite file."""
        return self.database_url or f"sqlite:///{self.data_dir / 'ledger.sqlite3'}"

    @property
    def queue_url(self) -> str:
        """The Redis that is set, or the embedded Valkey's socket."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @property
    def valkey_socket(self) -> Path:
        """Where the embedded Valkey of this data directory listens; the same for every process."""
        return files.socket_in(self.data_dir.resolve())

    @property
    def callback_url(self) -> str:
        return f"{self.public_url}/oauth/google/callback"

    @property
    def notification_url(self) -> str:
        return f"{self.public_url}/webhooks/google"


SECRETS = frozenset(
    {"secret_keys", "google_client_secret", "erpnext_api_secret", "smtp_url", "notify_webhook_url"}
)


_POINTERS = {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the place each value came from: ``environment``, a file name, ``default``;
    ``files`` are those named by ``X_FILE``, by field; ``file`` is the settings file, if there is
    one."""

    settings: Settings
    sources: Mapping[str, str]
    files: Mapping[str, Path]
    file: Path | None = None


def env_name(field: str) -> str:
    return PREFIX + field.upper()


def fields() -> dict[str, FieldInfo]:
    """Every setting by field name, in the order of docs/settings.md."""
    return dict(Settings.model_fields)


def plain(value: object) -> str:
    """A value as it is written in a settings file; of a secret, nothing."""
    if isinstance(value, SecretStr):
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def load(
    environ: Mapping[str, str] | None = None, cwd: Path | None = None, *, complete: bool = False
) -> Loaded:
    """Read and check all settings; with ``complete`` also check that everything is set that ``up``,
    ``web``, ``worker`` and ``cron`` need. Raises one ``UserError`` that names every missing and
    malformed value.
    """
    env = os.environ if environ is None else environ
    folder = Path.cwd() if cwd is None else cwd
    problems: list[str] = []
    layers = [("environment", dict(env))]
    file = files.find(env, folder)
    if file is not None:
        values, problems = lines.read(file)
        layers.append((str(file), values))
    known = {env_name(field) for field in Settings.model_fields} | _POINTERS
    for source, values in layers:
        problems += names.unknown(values, known, ours=source != "environment")
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    pointed: dict[str, Path] = {}
    for field in Settings.model_fields:
        value, source = _look_up(field, layers, folder, problems, pointed)
        if value is not None:
            found[field] = value
        sources[field] = source
    if file == files.SYSTEM_FILE and "data_dir" not in found and files.SYSTEM_DATA.is_dir():
        found["data_dir"], sources["data_dir"] = files.SYSTEM_DATA, f"default beside {file}"
    settings = _validated(found, problems)
    if complete:
        problems += needed.missing(found, folder)
    if problems or settings is None:
        raise BadSettings(problems, files.where_to_correct(file, folder))
    return Loaded(settings, sources, pointed, file)


def _look_up(
    field: str,
    layers: list[tuple[str, dict[str, str]]],
    folder: Path,
    problems: list[str],
    pointed: dict[str, Path],
) -> tuple[str | None, str]:
    name = env_name(field)
    for source, values in layers:
        if values.get(name, "").strip():
            return values[name].strip(), source
        pointer = values.get(name + "_FILE", "").strip()
        if field in SECRETS and pointer:
            pointed[field] = folder / pointer
            try:
                return pointed[field].read_text().strip(), f"{source}, {name}_FILE"
            except PermissionError:
                said = sentence("%(file)s is not for this user to read", file=pointer)
                step = files.as_owner(pointed[field])
                problems.append(joined(": ", f"{name}_FILE", said, step))
                return None, source
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or sentence("not a text file")
                problems.append(joined(": ", f"{name}_FILE", pointer, reason))
                return None, source
    return None, "default"


def _validated(found: dict[str, Any], problems: list[str]) -> Settings | None:
    try:
        return Settings(**found)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            field = str(item["loc"][0])
            problems.append(joined(": ", env_name(field), sentences.of(item)))
        return None


def require(settings: Settings, *names: str, why: str) -> None:
    """Raise one ``UserError`` that names every setting of ``names`` that is empty."""
    missing = [env_name(name) for name in names if not _given(settings, name)]
    if missing:
        raise UserError(
            sentence(
                "%(why)s needs settings that are not set: %(missing)s",
                why=why,
                missing=", ".join(missing),
            ),
            next_step=sentence(
                "set them in the environment or the settings file; see docs/settings.md"
            ),
        )


def _given(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
