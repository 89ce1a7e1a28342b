"""An experiment's overview as text."""

from __future__ import annotations

from msgspec.structs import replace

from wsbench.report.text.overview_text import render
from wsbench.results.overview_result import FIGURES, CellFigure, Overview, OverviewRow, Ratio

CLOSED = "ws, compression off, 128 B, 10 connections, closed loop, 1 in flight"
VALUES = (12_345.6, 50_000, 60_000, None, 1_500_000, 2_000_000, 3_000_000_000, 7.25, 12_400)


def row(target: str = "base", *, ratio: Ratio | None = None, **more: object) -> OverviewRow:
    figures = {name: CellFigure(value, ratio) for name, value in zip(FIGURES, VALUES, strict=True)}
    wanted = {"key": target, "target": target, "conditions": CLOSED, "open_loop": False, "asked": 3, "done": 3}
    return OverviewRow(**{**wanted, "figures": figures, **more})  # type: ignore[arg-type]


def lines(*rows: OverviewRow, baseline: str = "base") -> list[str]:
    shown = render(Overview(baseline, 0.95, list(rows)), "results/id")
    assert shown.endswith("\nresult: results/id\n")
    return shown.splitlines()


def one(shown: list[str], start: str) -> str:
    (found,) = [line for line in shown if line.strip().startswith(start)]
    return found


def test_a_row_has_all_figures_in_their_units_and_the_verification() -> None:
    shown = lines(row())
    assert shown[0] == CLOSED
    figures = "base 12,346 50.0 µs 60.0 µs – 1.50 ms 2.00 ms 3.00 s 7.2 12.4 kB 0 0"
    assert " ".join(one(shown, "base").split()) == figures
    assert one(shown, "verified:") == "verified: every echo of 1 cells, none lost, none corrupted"
    assert "Medians over 3 runs per cell." in shown


def test_ratios_are_below_with_their_interval() -> None:
    shown = lines(row(), row("new", ratio=Ratio(1.234, 1.1, 12.345, assumed=False)))
    at = shown.index(one(shown, "new"))
    assert shown[at + 1].split() == ["×", "baseline", *["1.23"] * 9]
    assert shown[at + 2].split() == ["1.10–12.3"] * 9
    assert "ratio to base (of the geometric means over runs) with its 95 % confidence interval" in one(shown, "Medians")
    assert not any(line.startswith("?") for line in shown)
    # each under the figure that it belongs to
    assert shown[at].index("12,346") + len("12,346") == shown[at + 1].index("1.23") + len("1.23")


def test_a_meaningless_interval_is_short() -> None:
    shown = lines(row(), row("new", ratio=Ratio(0.5, 0.0001, 23_456.0, assumed=False)))
    assert shown[shown.index(one(shown, "new")) + 2].split() == ["<0.01–>100"] * 9


def test_an_assumed_spread_is_marked() -> None:
    shown = lines(row(done=1, asked=1), row("new", done=1, asked=1, ratio=Ratio(1.0, 0.5, 2.0, assumed=True)))
    assert any("0.50–2.00?" in line for line in shown)
    assert one(shown, "?:").startswith("?: the spread between runs is assumed")
    assert one(shown, "One run per cell.")


def test_the_baseline_comes_first_and_conditions_apart() -> None:
    other = "wss, compression off"
    shown = lines(row("new"), row(), row("new", conditions=other), row(conditions=other))
    order = [line.split()[0] for line in shown if line.startswith(("  base", "  new", "ws"))]
    assert order == ["ws,", "base", "new", "wss,", "base", "new"]


def test_losses_and_corruption_are_marked() -> None:
    shown = lines(row(lost=3), row("new", corrupted=2, wrong={"reordered": 4}))
    assert one(shown, "base").endswith("3          0  LOSSES")
    assert one(shown, "new").endswith("0          2  CORRUPTED, 4 reordered")
    assert one(shown, "verified:").endswith("2 of them with messages lost or corrupted")


def test_verdicts_are_marked_and_explained() -> None:
    shown = lines(row(verdicts={"saturated": 3}), row("new", verdicts={"late": 1}, remarks=["2 connections dropped"]))
    assert one(shown, "base").endswith("0  saturated")
    assert one(shown, "new").endswith("0  late (1 of 3), 2 connections dropped")
    assert "`service`" in one(shown, "saturated:")
    assert one(shown, "late:")
    assert not any(line.startswith(("saturated:", "late:")) for line in lines(row()))


def test_holes_and_failures_are_named() -> None:
    nothing: dict[str, object] = {"figures": {}, "done": 0}
    shown = lines(
        row("tiny", hole="tiny has no TLS", asked=0, **nothing),
        row("dead", failures=["it died"], **nothing),
        row("todo", **nothing),
        row("half", done=2, failures=["x" * 300 + "the end"]),
    )
    assert one(shown, "tiny").split(maxsplit=2) == ["tiny", "–", "tiny has no TLS"]
    assert one(shown, "dead").split(maxsplit=2) == ["dead", "–", "FAILED"]
    assert one(shown, "failed: it died")
    assert one(shown, "todo").split(maxsplit=2) == ["todo", "–", "not run yet"]
    assert one(shown, "half").endswith("0  2 of 3 runs")
    assert len(one(shown, "failed: xxx")) < 260
    assert one(shown, "failed: xxx").endswith("the end")


def test_a_table_without_any_run_has_no_headings() -> None:
    shown = lines(replace(row("tiny"), figures={}, done=0, asked=0, hole="no"))
    assert not any("p99.9" in line or "verified" in line for line in shown)
