"""How admins are reached: e-mail by SMTP, and a webhook of Slack's kind.

https://api.slack.com/messaging/webhooks. The addresses are secrets: an error names the kind of
failure and nothing of them.
"""

from __future__ import annotations

import smtplib
import ssl
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

import requests

from watcher.errors import Transient, why_unreached
from watcher.languages.saying import say
from watcher.settings import LOOPBACK, Settings

MAIL, WEBHOOK, TODO = "mail", "webhook", "todo"
TIMEOUT_SECONDS = 15.0
MAX_TEXT = 3_500


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where mail goes: from ``smtp://[USER:PASSWORD@]HOST[:PORT]`` or ``smtps://...``."""

    host: str
    port: int
    user: str
    password: str
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Mailbox:
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        port = parts.port or (465 if tls else 587 if parts.username else 25)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "", port, user, password, tls)

    def __repr__(self) -> str:
        return f"Mailbox({self.host!r}, {self.port})"


def configured(settings: Settings) -> list[str]:
    """The media by which admins can be reached."""
    found = []
    if settings.smtp_url.get_secret_value() and settings.admin_emails:
        found.append(MAIL)
    if settings.notify_webhook_url.get_secret_value():
        found.append(WEBHOOK)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    reply_to: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What admins are told: sentences that are said in the language of each."""

    subject: str
    text: str


def send(
    settings: Settings, medium: str, told: Told, languages: Mapping[str, str] | None = None
) -> None:
    """Tell the admins, by mail each in the own language (``languages``, by address), by webhook in
    the one that all of them have; else in English. Raises ``Transient`` (its side is the medium).
    Where one of several mails fails, all of them are sent again."""
    spoken: dict[str, list[str]] = defaultdict(list)
    for email in settings.admin_emails:
        spoken[(languages or {}).get(email) or "en"].append(email)
    if medium == MAIL:
        with Postman(Mailbox.parse(settings.smtp_url.get_secret_value())) as postman:
            for language, recipients in spoken.items():
                postman.send(_in(language, told, sender(settings), recipients))
    else:
        language = next(iter(spoken)) if len(spoken) == 1 else "en"
        said = f"*{say(told.subject, language)}*\n{say(told.text, language)}"
        post(settings.notify_webhook_url.get_secret_value(), said)


def _in(language: str, told: Told, sender: str, recipients: Sequence[str]) -> Mail:
    return Mail(
        sender=sender,
        recipients=tuple(recipients),
        subject=say(told.subject, language),
        text=say(told.text, language),
    )


def sender(settings: Settings) -> str:
    host = urlsplit(settings.public_url).hostname or "localhost"
    return settings.notify_from or f"watcher@{host}"


class NotTaken(Transient):
    """The mail server answers, and does not take mail for this address."""


class Postman:
    """Sends many mails over one connection, which is made for the first one and made anew where it
    broke. ``with Postman(box) as postman: ...`` ends it."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self._server: smtplib.SMTP | None = None

    def __enter__(self) -> Postman:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def send(self, mail: Mail) -> None:
        """Raises ``Transient``, as ``send_mail`` does."""
        message = _message(mail)
        try:
            refused = self._connected().send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            refusal = f"the mail server does not take mail for this address ({codes[0]})"
            raise NotTaken(refusal, side=MAIL, next_step="check the address") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._hang_up()
            raise _failed(MAIL, _kind(error)) from None  # ValueError: a name that is not ASCII
        if refused:
            raise _failed(MAIL, f"refused {len(refused)} of {len(mail.recipients)} recipients")

    def _connected(self) -> smtplib.SMTP:
        """A server closes what was quiet for a while, and ends a connection after so many mails."""
        if self._server is not None:
            try:
                self._server.noop()
            except (smtplib.SMTPException, OSError):
                self._server = None
        if self._server is None:
            self._server = _connect(self._box)
        return self._server

    def _hang_up(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()


def send_mail(box: Mailbox, mail: Mail) -> None:
    """Send one mail to all recipients. TLS is used wherever the server offers it; without TLS a
    password is sent to this machine only. Raises ``Transient``."""
    with Postman(box) as postman:
        postman.send(mail)


def _message(mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, ", ".join(mail.recipients)
    message["Subject"] = " ".join(mail.subject.split())[:200]
    message["Date"] = format_datetime(datetime.now(UTC))
    # Without a domain this machine's own name is asked for, which may take seconds.
    message["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2].strip("> ") or None)
    message["Auto-Submitted"] = "auto-generated"
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to
    message.set_content(mail.text)
    return message


def _connect(box: Mailbox) -> smtplib.SMTP:
    server = _dial(box)
    if box.user:
        try:
            server.login(box.user, box.password)
        except (smtplib.SMTPException, OSError, ValueError):
            server.close()
            raise
    return server


def _dial(box: Mailbox) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if box.tls:
        return smtplib.SMTP_SSL(box.host, box.port, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(box.host, box.port, timeout=TIMEOUT_SECONDS)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
    elif box.user and box.host not in LOOPBACK:
        server.close()
        raise smtplib.SMTPNotSupportedError("no STARTTLS")
    return server


def _kind(error: Exception) -> str:
    """What went wrong, without the server's text, which may quote what was sent."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "offers no TLS for the password (use smtps://)"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"answered {error.smtp_code}"
    # ssl.SSLCertVerificationError is an OSError and a ValueError: the server was not reached.
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return f"cannot be told this user, password or address ({type(error).__name__})"
    return f"could not be reached ({why_unreached(error)})"


def post(url: str, text: str) -> None:
    """Post a text to a Slack-compatible webhook. Raises ``Transient``."""
    try:
        answer = requests.post(
            url, json={"text": text[:MAX_TEXT]}, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
    except (requests.RequestException, OSError) as error:
        raise _failed(WEBHOOK, f"could not be reached ({why_unreached(error)})") from None
    if not 200 <= answer.status_code < 300:
        raise _failed(WEBHOOK, f"answered {answer.status_code}")


_SETTING = {MAIL: "WATCHER_SMTP_URL", WEBHOOK: "WATCHER_NOTIFY_WEBHOOK_URL"}


def _failed(medium: str, what: str) -> Transient:
    name = {MAIL: "the mail server", WEBHOOK: "the webhook"}[medium]
    return Transient(
        f"{name} {what}",
        side=medium,
        next_step=f"check {_SETTING[medium]}, then `watcher notify test`",
    )
