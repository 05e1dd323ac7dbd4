"""A certificate authority for tests, and what it issues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """``file`` holds its certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Authority of the tests")
        builder = _builder(self._name, self._name, self._key, -10, 3650)
        critical = x509.BasicConstraints(ca=True, path_length=None)
        signs = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            builder.add_extension(critical, critical=True)
            .add_extension(signs, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        path = folder / "authority.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.file = str(path)

    def issue(self, host: str, days: int = 90, since: int = 30) -> str:
        """A file with key and certificate of a host, good for ``days`` from now; it began
        ``since`` days ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(host), self._name, key, -since, days).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        made = builder.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self._folder / f"{host}-{days}.pem"
        path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
        return str(path)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, first: int, last: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now + timedelta(days=first),
        not_valid_after=now + timedelta(days=last),
    )
