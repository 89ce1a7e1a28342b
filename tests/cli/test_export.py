"""`wsbench export`: a stored result in other tools' formats, read back with what reads those."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult
from helpers.runs import Document, assert_error
from prometheus_client.openmetrics.parser import text_string_to_metric_families

RunCli = Callable[..., CliResult]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run with some hundred messages and a measure phase of more than one interval."""
    where = tmp_path_factory.mktemp("export")
    options = ("--users", "4", "--rate", "300", "--duration", "1200ms", "--warmup", "100ms", "--quiet")
    assert process.run_cli("run", *options, cwd=where).returncode == 0
    return runs.only(where / "results")


@pytest.fixture(scope="module")
def run(result: Path) -> Document:
    return runs.read(result)


def export(run_cli: RunCli, result: Path, *args: str) -> str:
    """Standard output; the same is then in the file `exported` of the directory the command runs in."""
    shown = run_cli("export", str(result), *args)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert run_cli("export", str(result), *args, "--output", "-").stdout == shown.stdout
    written = run_cli("export", str(result), *args, "--output", "exported")
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    return shown.stdout


def test_json(run_cli: RunCli, result: Path, run: Document, tmp_path: Path) -> None:
    assert export(run_cli, result, "--format", "json") == (result / "run.json").read_text()
    assert (tmp_path / "exported").read_bytes() == (result / "run.json").read_bytes()


def test_json_of_a_series(run_cli: RunCli, result: Path, run: Document) -> None:
    shown = export(run_cli, result, "--format", "json", "--series", "service")
    assert json.loads(shown) == run["latency"]["service"]


def test_csv_is_the_timeline(run_cli: RunCli, result: Path, tmp_path: Path) -> None:
    assert export(run_cli, result, "--format", "csv") == (result / "timeline.csv").read_text()
    assert runs.timeline(tmp_path / "exported") == runs.timeline(result / "timeline.csv")


def test_csv_of_a_series_is_its_distribution(run_cli: RunCli, result: Path, run: Document) -> None:
    shown = export(run_cli, result, "--format", "csv", "--series", "read_lag")
    rows = list(csv.DictReader(io.StringIO(shown)))
    values = [int(row["value_ns"]) for row in rows]
    latency = run["latency"]["read_lag"]
    assert values == sorted(set(values)) and values[-1] == latency["max_ns"]
    assert sum(int(row["count"]) for row in rows) == latency["count"] > 0
    assert next(int(row["value_ns"]) for row in rows if float(row["percentile"]) >= 50) == latency["p50_ns"]
    assert float(rows[-1]["percentile"]) == 100


def test_hlog(run_cli: RunCli, result: Path, run: Document, tmp_path: Path) -> None:
    assert export(run_cli, result, "--format", "hlog") == (result / "latency.hlog").read_text()
    logged = runs.log_by_tag(tmp_path / "exported")
    assert {tag: histogram.total_count for tag, histogram in logged.items()} == {
        name: latency["count"] for name, latency in run["latency"].items() if latency["count"]
    }


def test_hlog_of_a_series(run_cli: RunCli, result: Path, run: Document, tmp_path: Path) -> None:
    export(run_cli, result, "--format", "hlog", "--series", "response")
    logged = runs.log_by_tag(tmp_path / "exported")
    assert list(logged) == ["response"]
    assert logged["response"].total_count == run["latency"]["response"]["count"]
    assert logged["response"].get_value_at_percentile(99) == run["latency"]["response"]["p99_ns"]
    text = (tmp_path / "exported").read_text()
    assert text.startswith("#[") and "#[StartTime: " in text and text.count("\nTag=response,") == 2


@pytest.mark.parametrize("series", [None, "response", "service", "send_lag", "connect"])
def test_hgrm(run_cli: RunCli, result: Path, run: Document, series: str | None) -> None:
    chosen = ("--series", series) if series else ()
    shown = run_cli("export", str(result), "--format", "hgrm", *chosen)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == (result / f"{series or 'response'}.hgrm").read_text()
    assert f"Total count    = {run['latency'][series or 'response']['count']:12d}]" in shown.stdout


def test_the_file_run_json_names_its_result_as_well(run_cli: RunCli, result: Path) -> None:
    shown = run_cli("export", str(result / "run.json"), "--format", "hlog")
    assert (shown.returncode, shown.stdout) == (0, (result / "latency.hlog").read_text())


def test_openmetrics(run_cli: RunCli, result: Path, run: Document) -> None:
    text = export(run_cli, result, "--format", "openmetrics")
    found = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {tuple(sample.labels.values()): sample.value for sample in found["wsbench_latency_seconds"].samples}
    assert samples["0.99", "service"] == run["latency"]["service"]["p99_ns"] / 1e9
    sent = {sample.labels["outcome"]: sample.value for sample in found["wsbench_messages"].samples}
    assert sent["sent"] == run["messages"]["sent"] > 0
    alone = export(run_cli, result, "--format", "openmetrics", "--series", "service")
    assert 'series="service"' in alone and 'series="response"' not in alone


# -- what cannot be exported -------------------------------------------------------------------------------------------


def test_no_result(run_cli: RunCli, tmp_path: Path) -> None:
    assert_error(run_cli("export", "nowhere", "--format", "json"), 2, "nowhere")
    (tmp_path / "empty").mkdir()
    assert_error(run_cli("export", "empty", "--format", "json"), 2, "empty")


def test_no_format(run_cli: RunCli, result: Path) -> None:
    assert_error(run_cli("export", str(result)), 2, "--format")
    assert_error(run_cli("export", str(result), "--format", "pdf"), 2, "'pdf'")
    assert_error(run_cli("export", str(result), "--format", "hlog", "--series", "latency"), 2, "'latency'")


def test_an_output_that_cannot_be_written(run_cli: RunCli, result: Path) -> None:
    assert_error(run_cli("export", str(result), "--format", "json", "--output", "no/such/file"), 2, "no/such/file")


@pytest.fixture
def damaged(result: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(result, tmp_path / "damaged"))


@pytest.mark.parametrize("format_", ["json", "hlog", "csv", "hgrm", "openmetrics"])
def test_a_truncated_document(run_cli: RunCli, damaged: Path, format_: str) -> None:
    document = damaged / "run.json"
    document.write_bytes(document.read_bytes()[:1000])
    assert_error(run_cli("export", str(damaged), "--format", format_), 2, "run.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "newer wsbench"),
        ({"schema": "1"}, "schema"),
        ({"messages": None}, "messages"),
        ({"latency": {"response": {"count": "many"}}}, "count"),
    ],
    ids=["newer", "no-number", "null", "wrong-type"],
)
def test_an_edited_document(run_cli: RunCli, damaged: Path, change: Document, said: str) -> None:
    document = json.loads((damaged / "run.json").read_bytes())
    (damaged / "run.json").write_text(json.dumps({**document, **change}))
    assert_error(run_cli("export", str(damaged), "--format", "json"), 2, said)


def test_a_missing_file(run_cli: RunCli, damaged: Path) -> None:
    for name in ("latency.hlog", "timeline.csv", "service.hgrm"):
        (damaged / name).unlink()
    assert_error(run_cli("export", str(damaged), "--format", "hlog"), 2, "latency.hlog")
    assert_error(run_cli("export", str(damaged), "--format", "csv"), 2, "timeline.csv")
    assert_error(run_cli("export", str(damaged), "--format", "hgrm", "--series", "service"), 2, "service.hgrm")
    assert run_cli("export", str(damaged), "--format", "json").returncode == 0


def test_a_series_that_was_not_measured(run_cli: RunCli, damaged: Path) -> None:
    assert_error(run_cli("export", str(damaged), "--format", "hgrm", "--series", "tls"), 2, "tls")
    assert json.loads(run_cli("export", str(damaged), "--format", "json", "--series", "tls").stdout)["count"] == 0


def test_a_truncated_log(run_cli: RunCli, damaged: Path) -> None:
    log = damaged / "latency.hlog"
    log.write_bytes(log.read_bytes()[:-40])
    for chosen in ((), ("--series", "service")):
        assert_error(run_cli("export", str(damaged), "--format", "hlog", *chosen), 2, "latency.hlog, line")
    assert_error(run_cli("export", str(damaged), "--format", "csv", "--series", "service"), 2, "latency.hlog, line")
