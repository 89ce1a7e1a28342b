"""An experiment file (TOML), checked completely before anything is started.

    name = "compare"                        # everything but targets is optional
    targets = ["websockets", "picows", "nginx>websockets"]
    baseline = "websockets"
    repetitions = 3
    transport = ["ws", "wss"]               # a list, or one value
    compression = ["off", "on"]
    payload_size = [128, "4k"]
    connections = 100
    load = [{ in_flight = 1 }, { rate = 1000, arrivals = "poisson" }]
    duration = "3s"

    [[target]]                              # a custom server
    name = "mine"
    command = "./my-server --port {port}"
    url = "ws://127.0.0.1:{port}/echo"

Values of `wsbench run`'s options are parsed by its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import randbelow
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.errors import UsageError
from wsbench.experiment.experiment_target import WS, WSS, ExperimentTarget
from wsbench.experiment.toml_reader import TomlFile, numbered
from wsbench.results.experiment_result import Load
from wsbench.run.option_table import BY_NAME, name_from, parse_name
from wsbench.run.options import DEFAULT_DURATION_NS
from wsbench.targets import catalogue
from wsbench.targets.catalogue import CommandTarget, StartableTarget, UrlTarget
from wsbench.units import one_of, parse_rate

DEFAULT_REPETITIONS = 3
DEFAULT_CONNECTIONS = 50
_BASELINE = "websockets"
_SETTINGS = ("duration", "warmup", "drain", "timeout")
_DEFAULT_SETTINGS = {"duration": DEFAULT_DURATION_NS, "warmup": BY_NAME["warmup"].value_of(None)}
_TARGET_OPTIONS = ("addresses", "ca", "origin", "header", "subprotocol")
_EXAMPLES = {
    "load": "{ in_flight = 1 } or { rate = 1000 }",
    "target": '[[target]] with name = "mine" and url = "ws://..."',
}

Value = str | int | float
"""A value that an option of `wsbench run` parses."""
Count = Annotated[int, msgspec.Meta(ge=1)]


class LoadTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A load: a closed loop with `in_flight`, or an open one with `rate`."""

    in_flight: Count | None = None
    rate: Value | None = None
    arrivals: str | None = None


class TargetTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A custom server: a command that starts it, or the URL of a running one, and options to reach it."""

    name: str = ""
    command: str = ""
    url: str = ""
    version: str = ""
    insecure: bool = False
    addresses: str | None = None
    ca: str | None = None
    origin: str | None = None
    header: list[str] | str | None = None
    subprotocol: list[str] | str | None = None


class ExperimentTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of an experiment file."""

    name: str | None = None
    targets: list[str] | str | None = None
    target: list[TargetTable] | TargetTable = []
    baseline: str | None = None
    repetitions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = DEFAULT_REPETITIONS
    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    transport: list[str] | str = WS
    compression: list[str] | str = "off"
    payload_size: list[Value] | Value = 128
    connections: list[Count] | Count = DEFAULT_CONNECTIONS
    load: list[LoadTable] | LoadTable = []
    duration: Value | None = None
    warmup: Value | None = None
    drain: Value | None = None
    timeout: Value | None = None
    spawn_rate: Value | None = None
    processes: Count = 1
    binary: bool = False


@dataclass(frozen=True)
class Spec:
    """A checked experiment file.

    Attributes:
        seed: of the order of runs.
        settings: options of `wsbench run` that all cells share, parsed.
        connections_per_s: opened a second at the start of a run; None for the default of `wsbench run`.
        run_ns: length of the warm-up and the measure phase of one run.
        text: the file's content, without secrets.
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
        """Return the target of this name."""
        return next(target for target in self.targets if target.name == name)


def load(path: Path, secrets: Secrets = DEFAULT_SECRETS) -> Spec:
    """Read an experiment file; raise UsageError with the key and the allowed values if it is not valid."""
    file = TomlFile(path, _EXAMPLES)
    table = file.decode(ExperimentTable)
    targets = tuple(_targets(file, table, secrets))
    names = [target.name for target in targets]
    _check_names(file, names)
    default_baseline = _BASELINE if _BASELINE in names else names[0]
    settings = {**_DEFAULT_SETTINGS, **_options(file, "", table, _SETTINGS)}
    return Spec(
        name=name_from(path.stem) if table.name is None else file.parsed("name", table.name, parse_name),
        targets=targets,
        baseline=file.parsed("baseline", table.baseline or default_baseline, one_of(*names)),
        repetitions=table.repetitions,
        seed=randbelow(2**31) if table.seed is None else table.seed,
        transport=file.parsed_list("transport", table.transport, one_of(WS, WSS)),
        compression=file.parsed_list("compression", table.compression, _parser("compression")),
        payload_size=file.parsed_list("payload_size", table.payload_size, _parser("payload_size")),
        connections=file.parsed_list("connections", table.connections, int),
        load=tuple(_loads(file, table)),
        settings={
            **settings,
            "binary": table.binary,
            "secret": secrets.names,
            "show_credentials": secrets.shown,
        },
        connections_per_s=None if table.spawn_rate is None else file.parsed("spawn_rate", table.spawn_rate, parse_rate),
        processes=table.processes,
        run_ns=settings["warmup"] + settings["duration"],
        text=_known(secrets, table, targets).text(file.content.decode()).encode(),
    )


def _known(secrets: Secrets, table: ExperimentTable, targets: Iterable[ExperimentTarget]) -> Secrets:
    """Return `secrets` and those of the custom targets."""
    for _, each in numbered("target", table.target):
        secrets = secrets.knowing(url=each.url)
    for target in targets:
        headers, subprotocols = (target.options.get(name, ()) for name in ("header", "subprotocol"))
        secrets = secrets.knowing(headers=headers, subprotocols=subprotocols)
    return secrets


def _parser(name: str) -> Callable[[str], Any]:
    parse = BY_NAME[name].parse
    assert parse is not None
    return parse


def _options(file: TomlFile, place: str, table: msgspec.Struct, names: Iterable[str]) -> dict[str, Any]:
    """Parse the options of `wsbench run` that a table has."""
    options = {}
    for name in names:
        if (value := getattr(table, name)) is not None:
            parse = file.parsed_list if BY_NAME[name].repeatable else file.parsed
            options[name] = parse(place + name, value, _parser(name))
    return options


def _loads(file: TomlFile, table: ExperimentTable) -> Iterator[Load]:
    seen: list[Load] = []
    for place, each in numbered("load", table.load or LoadTable(in_flight=1)):
        load = _load(file, place, each)
        if load in seen:
            raise file.error(place, "it is there twice")
        seen.append(load)
        yield load


def _load(file: TomlFile, place: str, table: LoadTable) -> Load:
    if (table.in_flight is None) == (table.rate is None):
        raise file.error(place, "it needs either in_flight (closed loop) or rate (open loop)")
    if table.in_flight is None:
        options = _options(file, f"{place}.", table, ("rate", "arrivals"))
        return Load("open", rate=options["rate"], arrivals=options.get("arrivals", "constant"))
    if table.arrivals is not None:
        raise file.error(f"{place}.arrivals", "a closed loop has none: it goes with rate")
    return Load("closed", in_flight=table.in_flight)


def _targets(file: TomlFile, table: ExperimentTable, secrets: Secrets) -> Iterator[ExperimentTarget]:
    if table.targets is not None:
        for target in file.parsed_list("targets", table.targets, catalogue.find):
            yield ExperimentTarget(target.name, target)
    for place, each in numbered("target", table.target):
        yield _custom_target(file, place, each, secrets)


def _check_names(file: TomlFile, names: list[str]) -> None:
    if not names:
        raise file.error("targets", "there is none", f"For example: targets = [{_BASELINE!r}, 'picows'].")
    if twice := {name for name in names if names.count(name) > 1}:
        raise file.error("targets", f"there are two of the name {min(twice)!r}", "Give a [[target]] another name.")


def _custom_target(file: TomlFile, place: str, table: TargetTable, secrets: Secrets) -> ExperimentTarget:
    if not table.command and not table.url:
        raise file.error(place, "it needs a command with {port}, or a url")
    try:
        target: StartableTarget = (
            CommandTarget(table.command, *filter(None, [table.url]), name=table.name, version=table.version)
            if table.command
            else UrlTarget(table.url, name=table.name or secrets.url(table.url), version=table.version)
        )
    except UsageError as error:
        raise file.error(place, error.what, error.remedy) from error
    return ExperimentTarget(
        target.name,
        target,
        transport=urlsplit(table.url).scheme.lower() or WS,
        options={**_options(file, f"{place}.", table, _TARGET_OPTIONS), "insecure": table.insecure},
    )
