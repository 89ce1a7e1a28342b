"""An experiment file (TOML): read, checked to the last key, and made a `Spec`.

    name = "compare"                        # all but targets can be left out
    targets = ["websockets", "picows", "nginx>websockets"]
    baseline = "websockets"
    repetitions = 3
    transport = ["ws", "wss"]               # a list, or one value
    compression = ["off", "on"]
    payload_size = [128, "4k"]
    connections = 100
    load = [{ in_flight = 1 }, { rate = 1000, arrivals = "poisson" }]
    duration = "3s"

    [[target]]                              # a server of the user's own
    name = "mine"
    command = "./my-server --port {port}"
    url = "ws://127.0.0.1:{port}/echo"

Values of `wsbench run`'s options are parsed by its table.
"""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wsbench.errors import UsageError
from wsbench.experiment.experiment_target import WS, WSS, ExperimentTarget
from wsbench.experiment.toml_reader import Table
from wsbench.results.experiment_result import Load
from wsbench.run.options import BY_NAME, DEFAULT_DURATION_NS, parse_name
from wsbench.targets import catalogue
from wsbench.targets.catalogue import CommandTarget, StartableTarget, UrlTarget
from wsbench.units import one_of, parse_rate

DEFAULT_REPETITIONS = 3
DEFAULT_CONNECTIONS = 50
_BASELINE = "websockets"
_MOST_REPETITIONS = 1000

_AXES = ("transport", "compression", "payload_size", "connections", "load")
_SETTINGS = ("duration", "warmup", "drain", "timeout")
_DEFAULT_SETTINGS = {"duration": DEFAULT_DURATION_NS, "warmup": BY_NAME["warmup"].value_of(None)}
_KEYS = (
    "name",
    "targets",
    "target",
    "baseline",
    "repetitions",
    "seed",
    *_AXES,
    *_SETTINGS,
    "spawn_rate",
    "processes",
    "binary",
)
_OWN_OPTIONS = ("ca", "origin", "header", "subprotocol")
_OWN_KEYS = ("name", "command", "url", "version", "insecure", *_OWN_OPTIONS)


@dataclass(frozen=True)
class Spec:
    """What an experiment file says.

    Attributes:
        seed: of the order of runs.
        settings: options of `wsbench run` that are the same for all cells, parsed.
        connections_per_s: opened a second, at the start of a run; None for `wsbench run`'s own choice.
        run_ns: length of warm-up and measure phase of one run.
        text: the file, as it was read.
    """

    name: str
    targets: tuple[ExperimentTarget, ...]
    baseline: str
    repetitions: int
    seed: int
    transport: tuple[str, ...]
    compression: tuple[str, ...]
    payload_size: tuple[int, ...]
    connections: tuple[int, ...]
    load: tuple[Load, ...]
    settings: Mapping[str, Any]
    connections_per_s: float | None
    processes: int
    run_ns: int
    text: bytes

    def target(self, name: str) -> ExperimentTarget:
        """The target of that name."""
        return next(target for target in self.targets if target.name == name)


def load(path: Path) -> Spec:
    """The experiment in a file.

    Raises:
        UsageError: there is no such file, it is no TOML, or a key or a value is wrong; with what is allowed.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    try:
        content = tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: it is not TOML: {error}", remedy="See https://toml.io, or scenarios/.") from error
    return _spec(Table(str(path), content), text)


def _spec(table: Table, text: bytes) -> Spec:
    table.only(_KEYS)
    targets = _targets(table)
    names = [target.name for target in targets]
    default_baseline = _BASELINE if _BASELINE in names else names[0]
    settings = _DEFAULT_SETTINGS | {key: table.one(key, _parser(key)) for key in _SETTINGS if key in table}
    return Spec(
        name=table.one("name", parse_name, default=_name_of(table.file)),
        targets=targets,
        baseline=table.one("baseline", one_of(*names), default=default_baseline),
        repetitions=table.count("repetitions", default=DEFAULT_REPETITIONS, most=_MOST_REPETITIONS),
        seed=table.count("seed", least=0, default=secrets.randbelow(2**31)),
        transport=table.many("transport", one_of(WS, WSS), default=(WS,)),
        compression=table.many("compression", _parser("compression"), default=("off",)),
        payload_size=table.many("payload_size", _parser("payload_size"), default=(128,)),
        connections=table.counts("connections", default=DEFAULT_CONNECTIONS),
        load=tuple(_loads(table)),
        settings={**settings, "binary": table.switch("binary")},
        connections_per_s=table.one("spawn_rate", parse_rate, default=None),
        processes=table.count("processes", default=1),
        run_ns=settings["warmup"] + settings["duration"],
        text=text,
    )


def _name_of(file: str) -> str:
    """The file's own, if a directory can be called so."""
    stem = Path(file).stem
    try:
        parse_name(stem)
    except ValueError:
        return "experiment"
    return stem


def _parser(name: str) -> Callable[[str], Any]:
    parse = BY_NAME[name].parse
    assert parse is not None
    return parse


def _loads(table: Table) -> Iterator[Load]:
    found = list(table.tables("load"))
    if not found:
        yield Load("closed", in_flight=1)
    seen: list[Load] = []
    for each in found:
        each.only(("in_flight", "rate", "arrivals"))
        if ("in_flight" in each) == ("rate" in each):
            raise each.error("", "it needs either in_flight (closed loop) or rate (open loop)")
        if "in_flight" in each:
            if "arrivals" in each:
                raise each.error("arrivals", "a closed loop has none: it goes with rate")
            load = Load("closed", in_flight=each.count("in_flight"))
        else:
            arrivals = each.one("arrivals", _parser("arrivals"), default="constant")
            load = Load("open", rate=each.one("rate", _parser("rate")), arrivals=arrivals)
        if load in seen:
            raise each.error("", "it is there twice")
        seen.append(load)
        yield load


def _targets(table: Table) -> tuple[ExperimentTarget, ...]:
    found = []
    for name in table.many("targets", str, default=()):
        try:
            target = catalogue.find(name)
        except UsageError as error:
            raise table.error("targets", error.what, error.remedy) from error
        found.append(ExperimentTarget(target.name, target))
    found += [_own(each) for each in table.tables("target")]
    names = [target.name for target in found]
    if not found:
        raise table.error("targets", "there is none", f"For example: targets = [{_BASELINE!r}, 'picows'].")
    if twice := {name for name in names if names.count(name) > 1}:
        raise table.error("targets", f"there are two of the name {min(twice)!r}", "Give a [[target]] another name.")
    return tuple(found)


def _own(table: Table) -> ExperimentTarget:
    table.only(_OWN_KEYS)
    texts = {key: table.one(key, str, default="") for key in ("name", "command", "url", "version")}
    if not texts["command"] and not texts["url"]:
        raise table.error("", "it needs a command with {port}, or a url")
    try:
        target = _own_target(texts)
    except UsageError as error:
        raise table.error("", error.what, error.remedy) from error
    options: dict[str, Any] = {
        key: table.many(key, _parser(key)) if BY_NAME[key].repeatable else table.one(key, _parser(key))
        for key in _OWN_OPTIONS
        if key in table
    }
    return ExperimentTarget(
        target.name,
        target,
        transport=urlsplit(texts["url"]).scheme.lower() or WS,
        options={**options, "insecure": table.switch("insecure")},
    )


def _own_target(texts: Mapping[str, str]) -> StartableTarget:
    name, version = texts["name"], texts["version"]
    if not texts["command"]:
        return UrlTarget(texts["url"], name=name, version=version)
    return CommandTarget(texts["command"], *filter(None, [texts["url"]]), name=name, version=version)
