"""TLS for the target: a certificate that was given, or one made for this run."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import trustme

from wsbench.errors import UsageError
from wsbench.targets.echo.serve_options import EchoOptions

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def given_certificate(cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """A server's context with the certificate (chain) in `cert` and its private key in `key`, PEM files.

    Raises:
        UsageError: one is missing, unreadable, no PEM, encrypted, or they do not belong together.
    """
    if cert is None or key is None:
        missing, present = ("--key", "--cert") if key is None else ("--cert", "--key")
        raise UsageError(
            f"{present} is given without {missing}", remedy="give both, or neither for a certificate made for this run"
        )
    for option, file in (("--cert", cert), ("--key", key)):
        try:
            file.read_bytes()
        except OSError as exc:
            raise UsageError(f"{option} {file} cannot be read: {exc.strerror}") from exc
    context = _context()
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"the key in {key} does not belong to the certificate in {cert}") from exc
        raise UsageError(
            f"{cert} and {key} are no certificate and private key: {exc.reason or exc}",
            remedy="both must be PEM, with a line -----BEGIN ...-----",
        ) from exc
    return context


def own_certificate(host: str, directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A context with a new certificate for this machine's loopback names and `host`, and the CA's PEM file.

    The CA's file is written to `directory`; its private key is thrown away. The server's is on disk for the moment in
    which OpenSSL reads it, as a file of this user's alone.

    Args:
        directory: private to this user.

    Raises:
        UsageError: `host` is nothing a certificate can name.
    """
    authority = trustme.CA(organization_name="wsbench, a throw-away CA")
    try:
        certificate = authority.issue_cert(*dict.fromkeys((*_LOCAL_NAMES, host)))
    except ValueError as exc:
        raise UsageError(f"no certificate can be made for host {host!r}: {exc}") from exc
    context = _context()
    with certificate.private_key_and_cert_chain_pem.tempfile(dir=str(directory)) as file:
        context.load_cert_chain(file)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


def context_for(options: EchoOptions, new_directory: Callable[[], Path]) -> tuple[ssl.SSLContext | None, Path | None]:
    """The TLS context these options ask for and the CA file of an own certificate; None where there is none.

    Args:
        new_directory: makes the private directory for the CA file; called only when one is needed.

    Raises:
        UsageError: as in `given_certificate` and `own_certificate`, or a certificate without --tls.
    """
    given = options.cert is not None or options.key is not None
    if not options.tls:
        if given:
            raise UsageError("--cert and --key have no effect without --tls", remedy="add --tls")
        return None, None
    if given:
        return given_certificate(options.cert, options.key), None
    return own_certificate(options.host, new_directory())


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise UsageError("the private key is encrypted", remedy="decrypt it first: openssl pkey -in FILE -out PLAIN")
