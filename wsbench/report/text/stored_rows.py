"""The last lines of every summary: where the result and its report are."""

from __future__ import annotations

from pathlib import Path

from wsbench.results.directory import REPORT_FILE


def stored_rows(path: str) -> list[str]:
    """Return the directory of a result, and its report.html, if it could be made."""
    report = Path(path, REPORT_FILE)
    return [f"result: {path}", *([f"report: {report}"] if report.exists() else [])]
