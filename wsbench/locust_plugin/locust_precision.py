"""Fractions of milliseconds in Locust's statistics.

Locust rounds to whole milliseconds in its buckets, its tables and its files. `install` replaces only the functions that
round, for all entries; Locust's documentation suggests this for the first of them.
"""

from __future__ import annotations

import math
import time
from typing import Any

from locust import stats as locust_stats
from locust.stats import StatsCSV, StatsCSVFileWriter, StatsEntry


def install() -> None:
    """Make Locust keep fractions of milliseconds in its tables and files, and complete its files at the end."""
    locust_stats.bucket_response_time = rounded
    StatsEntry.to_string = _to_string
    StatsEntry.percentile = _percentile_row
    StatsEntry.to_dict = _to_dict
    StatsCSV._percentile_fields = _percentile_fields
    StatsCSVFileWriter.close_files = _close_files


def rounded(value: float, significant: int = 2) -> float:
    """Round to two significant digits, as Locust does above 100 ms: its dicts then have few keys."""
    if value <= 0:
        return 0
    digits = significant - 1 - math.floor(math.log10(value))
    return round(value, digits) if digits > 0 else int(round(value, digits))


def _shown(value: float | None) -> str:
    if not value:
        return "0"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _to_string(self: Any, current: bool = True) -> str:
    rps, failing = (
        (self.current_rps, self.current_fail_per_sec) if current else (self.total_rps, self.total_fail_per_sec)
    )
    name_width = locust_stats.STATS_NAME_WIDTH - locust_stats.STATS_TYPE_WIDTH + 4
    times = (self.avg_response_time, self.min_response_time, self.max_response_time, self.median_response_time)
    average, low, high, median = map(_shown, times)
    failures = f"{self.num_failures}({self.fail_ratio:.2%})"
    return (
        f"{self.method or '':<{locust_stats.STATS_TYPE_WIDTH}} {self.name:<{name_width}} {self.num_requests:7d} "
        f"{failures:>12} |{average:>7} {low:>7} {high:>7}{median:>7} | {rps or 0:7.2f} {failing or 0:11.2f}"
    )


def _percentile_row(self: Any) -> str:
    cells = [f"{_shown(self.get_response_time_percentile(p)):>6}" for p in locust_stats.PERCENTILES_TO_REPORT]
    return (
        f"{self.method or '':<{locust_stats.STATS_TYPE_WIDTH}} {self.name:<{locust_stats.STATS_NAME_WIDTH}} "
        f"{' '.join(cells)} {self.num_requests:8d}"
    )


_locusts_to_dict = StatsEntry.to_dict


def _to_dict(self: Any, escape_string_values: bool = False) -> dict[str, Any]:
    return {
        **_locusts_to_dict(self, escape_string_values),
        "min_response_time": rounded(self.min_response_time or 0, 3),
        "max_response_time": rounded(self.max_response_time, 3),
    }


def _percentile_fields(self: Any, stats_entry: Any, use_current: bool = False) -> list[Any]:
    if not stats_entry.num_requests:
        return list(self.percentiles_na)
    if use_current and stats_entry.use_response_times_cache:
        value = stats_entry.get_current_response_time_percentile
    else:
        value = stats_entry.get_response_time_percentile
    return [value(percentile) or 0 for percentile in self.percentiles_to_report]


_locusts_close_files = StatsCSVFileWriter.close_files


def _close_files(self: Any) -> None:
    """Write Locust's files once more: it writes once a second, and the final reports came after the last time."""
    for file, writer, columns, rows in (
        (self.requests_csv_filehandle, self.requests_csv_writer, self.requests_csv_columns, self._requests_data_rows),
        (self.failures_csv_filehandle, self.failures_csv_writer, self.failures_columns, self._failures_data_rows),
    ):
        file.seek(0)
        writer.writerow(columns)
        rows(writer)
        file.truncate()
    self._stats_history_data_rows(self.stats_history_csv_writer, time.time())
    _locusts_close_files(self)
