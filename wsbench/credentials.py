"""Credentials: which values are secret, and texts without them, for all that is stored or shown.

The name of a header, query parameter, setting or flag decides whether its value is secret. Values that are known to be
secret are hidden in any text, such as in what the server says.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"

_NAMES = re.compile(
    r"(?i:auth(?!ors?(?![a-z]))|token(?!s)|cookie|secret|passw|passphrase|passcode|pwd|session(?!s)|credential"
    r"|signature|jwt|api[-_]?key|^(?:bearer|pass|sid|sig)$)|(?i:key)(?![a-z])"
)
"""Not `max_tokens`, `sessions`, `author` or `keyboard`."""
_FLAGS = ("--secret", "--show-credentials", "--key", "--tls-key")
"""Flags whose values are no secrets: names and files."""
_CHALLENGES = ("www-authenticate", "proxy-authenticate")
_TOKEN_FOLLOWS = re.compile(r"(?:access[-_]?)?token|bearer|authorization|auth|jwt|api[-_]?key", re.IGNORECASE)
_TOKEN_WITHIN = re.compile(r"(?:^|[.-])(?:token|bearer|jwt|api[-_]?key)\.(.+)", re.IGNORECASE)

_HEADER = re.compile(r"([\w-]+)(:\s*)(.+)", re.DOTALL)
_SETTING = re.compile(r"(\w+)(=)(.+)", re.DOTALL)
_PASSWORD = re.compile(r"(://[^\s/?#@:\[]*:)(?!\d+(?:[/?#]|$))(?:[^\s/?#]{1,1024}(?=@)|[^\s@]{1,1024}(?=@))")
"""Also one with a slash, which makes the URL invalid, but not the port of a server."""
_PARAMETER = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s]+)")
_ASSIGNED = re.compile(r"(?<![^?&;\s\"'(,{\[=])([\w.%-]+)=[\"']?")
_VALUE = re.compile(r"[^&;#\s\"'<>]*[^&;#\s\"'<>:,.)]")
_MEMBER = re.compile(r"""((["'])([\w.-]+)\2\s*:\s*)(?:(["'])((?:\\.|(?!\4).)+)|([^\s"',{}\[\]]+))""")
_QUOTED_HEADER = re.compile(
    r"""(["'])([A-Za-z][\w-]*)(:[ \t]*+)(?=(?:\\\W|(?!\1)[^\\\n\w])*+\\?\w)((?:\\.|(?!\1)[^\\\n])*+)\1"""
)
_FLAG = re.compile(r"""((?:^|[\s"'])(--[\w-]+)\s+)(?![A-Z]+\b)([^\s"'-][^\s"']*)""")
_ENCODED_JSON = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{16,}(?:\.[\w-]+)*")
"""A JSON Web Token."""

_SHORTEST, _LONG = 4, 8
"""Shorter values than the first are hidden only after their name, shorter ones than the second only as whole words."""
_AFTER_A_CUT = ("", "'", '"', "…")


def parse_secret_name(text: str) -> str:
    """Return the name; raise ValueError if the text is more than a name."""
    if not re.fullmatch(r"[^\s:=]+", text.strip()):
        raise ValueError("give the name alone, without its value, such as X-Custom")
    return text.strip()


@dataclass(frozen=True)
class Secrets:
    """The secrets of a run, and texts without them.

    Attributes:
        names: of headers, query parameters and settings whose values are secret (--secret), beside those that look so.
        shown: hide nothing (--show-credentials).
        values: known secrets in the forms in which a text may contain them, the longest first.
    """

    names: tuple[str, ...] = ()
    shown: bool = False
    values: tuple[str, ...] = ()

    def knowing(
        self,
        *,
        url: str = "",
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> Secrets:
        """Return these and the secrets in a URL, headers, subprotocols and settings."""
        found = [
            *self._of_url(url),
            *(secret for name, value in headers for secret in self._of_header(name, value)),
            *_of_subprotocols(subprotocols),
            *(value for name, value in (settings or {}).items() if self.named(name)),
        ]
        parts = urlsplit(url)
        # In a text, a password that is also the user's or the server's name cannot be distinguished from it.
        clear = (parts.username or "", parts.hostname or "")
        forms = {form for secret in found for form in _forms(secret)}
        known = {form for form in forms if len(form) >= _SHORTEST and not any(form in text for text in clear)}
        return replace(self, values=tuple(sorted({*self.values, *known}, key=lambda value: (-len(value), value))))

    def named(self, name: str) -> bool:
        """Return whether the value of a header, query parameter, setting or flag of this name is secret."""
        if name.lower() in (each.lower() for each in self.names):
            return True
        return name not in _FLAGS and _NAMES.search(name) is not None

    # -- hiding --------------------------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Hide secrets in any text."""
        if self.shown:
            return text
        text = _PASSWORD.sub(rf"\1{HIDDEN}", text)
        text = self._without_assigned(text)
        text = _MEMBER.sub(self._without_member, text)
        text = _QUOTED_HEADER.sub(self._without_quoted_header, text)
        text = _FLAG.sub(lambda match: match[1] + (HIDDEN if self.named(match[2]) else match[3]), text)
        text = _ENCODED_JSON.sub(HIDDEN, text)
        return self._without_known(text)

    def url(self, url: str) -> str:
        """Hide secrets in a URL or in the target of a request."""
        if self.shown:
            return url

        def shown(match: re.Match[str]) -> str:
            return f"{match[1]}{match[2]}={HIDDEN if self._parameter(match[2]) else match[3]}"

        # Known values first: one of a command line may have spaces, at which a parameter ends.
        return self.text(_PARAMETER.sub(shown, self._without_known(url)))

    def header(self, name: str, value: str) -> str:
        """Hide secrets in the value of a header; the scheme of an Authorization header stays."""
        if self.shown:
            return value
        if not self._secret_header(name):
            return self.url(value) if name.lower() in ("location", "referer") else self.text(value)
        scheme, secret = _scheme_and_secret(name, value)
        return f"{scheme}{HIDDEN}" if secret else value

    def setting(self, name: str, value: str) -> str:
        """Hide a secret setting."""
        return HIDDEN if value and not self.shown and self.named(name) else self.text(value)

    def settings(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Hide secret settings."""
        return {name: self.setting(name, value) for name, value in settings.items()}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Hide secrets in a command line."""
        if self.shown:
            return list(arguments)
        return [self._argument(*pair) for pair in zip(["", *arguments], arguments, strict=False)]

    def _argument(self, previous: str, argument: str) -> str:
        joined = re.fullmatch(r"(--[\w-]+)=(.*)", argument, re.DOTALL)
        flag, value = joined.groups() if joined else (previous, argument)
        kept = f"{flag}=" if joined else ""
        if value and re.fullmatch(r"--[\w-]+", flag) and not value.startswith("--") and self.named(flag):
            return kept + HIDDEN
        if (header := _HEADER.fullmatch(value)) and self._secret_header(header[1]):
            return kept + header[1] + header[2] + self.header(header[1], header[3])
        if setting := _SETTING.fullmatch(value):
            return kept + setting[1] + setting[2] + self.setting(setting[1], setting[3])
        return kept + self.url(value)

    def _without_known(self, text: str) -> str:
        for value in self.values:
            text = _without_value(text, value)
        return text

    # -- the parts of a text -------------------------------------------------------------------------------------------

    def _without_assigned(self, text: str) -> str:
        parts, at = [], 0
        while match := _ASSIGNED.search(text, at):
            before, name = text[max(0, match.start() - 1) : match.start()], match[1]
            secret = self._parameter(name) if before in ("?", "&", ";") else self.named(name)
            value = _VALUE.match(text, match.end()) if secret else None
            parts += [text[at : match.end()], HIDDEN if value else ""]
            at = value.end() if value else match.end()  # `--set=token=…` has another assignment in its value
        return "".join(parts) + text[at:]

    def _without_member(self, match: re.Match[str]) -> str:
        return match[1] + (match[4] or "") + HIDDEN if self.named(match[3]) else match[0]

    def _without_quoted_header(self, match: re.Match[str]) -> str:
        mark, name, colon, value = match.groups()
        return mark + name + colon + self.header(name, value) + mark if self._secret_header(name) else match[0]

    def _parameter(self, name: str) -> bool:
        return self.named(unquote(name)) or name.lower() == "code"  # OAuth's

    def _secret_header(self, name: str) -> bool:
        lower = name.lower()
        return self.named(name) and not lower.startswith("sec-websocket-") and lower not in _CHALLENGES

    # -- known values --------------------------------------------------------------------------------------------------

    def _of_url(self, url: str) -> Iterator[str]:
        parts = urlsplit(url)
        if parts.password:
            yield parts.password
            yield _base64(f"{unquote(parts.username or '')}:{unquote(parts.password)}")
        yield from (value for _, name, value in _PARAMETER.findall(url) if self._parameter(name))

    def _of_header(self, name: str, value: str) -> Iterator[str]:
        if not self._secret_header(name):
            return
        if name.lower() in ("cookie", "set-cookie"):
            pairs = (part.strip().partition("=") for part in value.split(";"))
            yield from (secret for key, _, secret in pairs if self.named(key) or len(secret) >= _LONG)
            return
        scheme, secret = _scheme_and_secret(name, value)
        yield secret
        if scheme.lower() == "basic ":
            yield _from_base64(secret).partition(":")[2]


DEFAULT_SECRETS = Secrets()
"""Secrets that their names show, and no others."""


def _scheme_and_secret(name: str, value: str) -> tuple[str, str]:
    scheme, space, rest = value.partition(" ")
    return (f"{scheme} ", rest) if "authorization" in name.lower() and space and scheme.isalpha() else ("", value)


def _of_subprotocols(subprotocols: Sequence[str]) -> Iterator[str]:
    """Yield tokens that are offered as a subprotocol: after one that announces them, or within its name."""
    for previous, each in zip(["", *subprotocols], subprotocols, strict=False):
        if _TOKEN_FOLLOWS.fullmatch(previous):
            yield each
        elif within := _TOKEN_WITHIN.search(each):
            yield within[1]


def _forms(secret: str) -> set[str]:
    """Return the forms of a secret in URLs, HTML and JSON."""
    plain = unquote(secret)
    return {secret, plain, quote(plain, safe=""), html.escape(plain), json.dumps(plain)[1:-1]}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except binascii.Error:
        return ""


def _without_value(text: str, value: str) -> str:
    if len(value) < _LONG:
        return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
    text = text.replace(value, HIDDEN)
    begin = text.find(value[:_LONG])
    while begin >= 0:  # an excerpt of a text may have cut the value
        end = begin + _common_length(text[begin : begin + len(value)], value)
        if text[end : end + 1] in _AFTER_A_CUT:
            text = text[:begin] + HIDDEN + text[end:]
        begin = text.find(value[:_LONG], begin + 1)
    return text


def _common_length(one: str, other: str) -> int:
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))
