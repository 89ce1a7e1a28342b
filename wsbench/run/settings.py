"""What a scenario lets `--set NAME=VALUE` change: names with defaults, whose kinds say what may be given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsbench.errors import UsageError

Setting = bool | int | float | str

_SWITCH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
_KINDS = {bool: "on or off", int: "a whole number", float: "a number", str: "a text"}


def parse(text: str) -> tuple[str, str]:
    """Name and value of 'NAME=VALUE'.

    Raises:
        ValueError: it is not of that form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"{text!r} is no setting: use NAME=VALUE")
    return name.strip(), value.strip()


def value_of(default: Setting, name: str, given: Mapping[str, str]) -> Setting:
    """What was given, or the default.

    Raises:
        UsageError: what was given is not of the default's kind.
    """
    if name not in given:
        return default
    text = given[name]
    try:
        return _SWITCH[text.lower()] if isinstance(default, bool) else type(default)(text)
    except (ValueError, KeyError):
        kind = _KINDS[type(default)]
        raise UsageError(f"--set {name}={text}: {kind} is wanted, such as {shown(default)}") from None


def shown(value: Setting) -> str:
    """A value as one would give it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def effective(declared: Iterable[Mapping[str, Setting]], given: Mapping[str, str]) -> dict[str, str]:
    """All settings of a run's users, as texts: what was given, and the defaults of the others.

    Raises:
        UsageError: one that no user has, or a value of another kind.
    """
    known: dict[str, Setting] = {}
    for settings in declared:
        known |= settings
    unknown = [name for name in given if name not in known]
    if unknown:
        has = f"It has {', '.join(sorted(known))}." if known else "It has none."
        raise UsageError(f"--set {unknown[0]}: the scenario has no such setting", remedy=has)
    return {name: shown(value_of(default, name, given)) for name, default in known.items()}
