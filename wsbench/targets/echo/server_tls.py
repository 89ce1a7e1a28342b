"""TLS for the target: the user's certificate, or one made for this run."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from wsbench.errors import UsageError
from wsbench.targets.echo.serve_options import EchoOptions

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def load_certificate(cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a server context with the certificate (chain) in `cert` and its private key in `key`, PEM files.

    Raises UsageError when a file is missing, unreadable, not PEM or encrypted, or the two do not match.
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
    context = _new_context()
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"the key in {key} does not belong to the certificate in {cert}") from exc
        raise UsageError(
            f"{cert} and {key} are not a certificate and a private key: {exc.reason or exc}",
            remedy="both must be PEM, with a line -----BEGIN ...-----",
        ) from exc
    return context


def make_certificate(
    host: str, directory: Path, context_type: type[ssl.SSLContext] = ssl.SSLContext
) -> tuple[ssl.SSLContext, Path]:
    """Return a context with a new certificate for the loopback names and `host`, and the CA's PEM file.

    The CA's file is written to `directory`, which must be private to this user; its private key is discarded. The
    server's private key is on disk only while OpenSSL reads it. Raises UsageError when no certificate can name `host`.
    """
    authority = trustme.CA(organization_name="wsbench, a throw-away CA")
    try:
        certificate = authority.issue_cert(*dict.fromkeys((*_LOCAL_NAMES, host)))
    except ValueError as exc:
        raise UsageError(f"no certificate can be made for host {host!r}: {exc}") from exc
    context = _new_context(context_type)
    with certificate.private_key_and_cert_chain_pem.tempfile(dir=str(directory)) as file:
        context.load_cert_chain(file)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


def context_for(options: EchoOptions, stack: ExitStack) -> tuple[ssl.SSLContext | None, Path | None]:
    """Return the TLS context for these options (None: ws://), and the CA file of a certificate made for this run.

    The CA file is deleted with `stack`. Raises UsageError as the functions above, and for a certificate without --tls.
    """
    has_certificate = options.cert is not None or options.key is not None
    if not options.tls:
        if has_certificate:
            raise UsageError("--cert and --key have no effect without --tls", remedy="add --tls")
        return None, None
    if has_certificate:
        return load_certificate(options.cert, options.key), None
    return make_certificate(options.host, Path(stack.enter_context(TemporaryDirectory(prefix="wsbench-"))))


def _new_context(context_type: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
    context = context_type(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    """Raise an error, where OpenSSL would prompt on the terminal."""
    raise UsageError("the private key is encrypted", remedy="decrypt it first: openssl pkey -in FILE -out PLAIN")
