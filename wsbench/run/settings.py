"""Settings of a scenario, which `--set NAME=VALUE` changes: names with defaults, whose types decide on the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsbench.errors import UsageError

Setting = bool | int | float | str

_SWITCH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
_KINDS = {bool: "on or off", int: "a whole number", float: "a number", str: "a text"}


def parse(text: str) -> tuple[str, str]:
    """Parse 'NAME=VALUE'; raise ValueError if the text is not of that form."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"{name!r} is no setting: use NAME=VALUE")
    return name.strip(), value.strip()


def value_of(default: Setting, name: str, given: Mapping[str, str]) -> Setting:
    """Return the value given with --set, or the default; raise UsageError if it is not of the default's type."""
    if name not in given:
        return default
    text = given[name]
    try:
        return _SWITCH[text.lower()] if isinstance(default, bool) else type(default)(text)
    except (ValueError, KeyError):
        kind = _KINDS[type(default)]
        raise UsageError(f"--set {name}={text}: {kind} is wanted, such as {shown(default)}") from None


def shown(value: Setting) -> str:
    """Return a value as text, as --set takes it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def effective(declared: Iterable[Mapping[str, Setting]], given: Mapping[str, str]) -> dict[str, str]:
    """Return all settings of a run's users as texts: those given, and the defaults of the others.

    Raise UsageError for a setting that no user has, for a value of another type, and for settings that are declared
    otherwise than with defaults.
    """
    known: dict[str, Setting] = {}
    for settings in declared:
        if not isinstance(settings, Mapping):
            raise UsageError(f"`settings` of the scenario is {settings!r}: it must be a dict of names and defaults")
        known |= settings
    for name, default in known.items():
        if type(default) not in _KINDS:
            kinds = "on or off, a number or a text"
            raise UsageError(f"the scenario's setting {name} has the default {default!r}: it must be {kinds}")
    unknown = [name for name in given if name not in known]
    if unknown:
        has = f"It has {', '.join(sorted(known))}." if known else "It has none."
        raise UsageError(f"--set {unknown[0]}: the scenario has no such setting", remedy=has)
    return {name: shown(value_of(default, name, given)) for name, default in known.items()}
