"""Parts of plots, as plotly's JavaScript expects them. A string that starts with `--` is a colour of page.css.

Latencies are in seconds, so that plotly's SI prefixes give them units: 24.1µs, 1.5ms, 2s.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wsbench.measure.histogram import Buckets
from wsbench.measure.percentile_curve import curve
from wsbench.units import NS_PER_S

Json = dict[str, Any]

_MAX_DECADES = 3.5
"""Up to this range, a logarithmic axis has room for all steps."""


@dataclass(frozen=True)
class Plot:
    """A plot with its title, a line that explains how to read it (`how`), and its height in pixels."""

    id: str
    title: str
    how: str
    data: list[Json]
    layout: Json
    height: int = 340

    def spec(self) -> Json:
        """Return what the page's script needs to draw the plot."""
        return {"id": self.id, "data": self.data, "layout": {**self.layout, "height": self.height}}


@dataclass(frozen=True)
class PercentileSeries:
    """The name, style and distribution of a percentile curve."""

    name: str
    colour: str
    dash: str
    buckets: Buckets
    lost: int = 0


def percentile_plot(lines: Iterable[PercentileSeries]) -> tuple[list[Json], Json]:
    """Return data and layout of a plot of latency over percentiles."""
    data: list[Json] = []
    latencies: list[float] = []
    longest = 10.0
    for each in lines:
        points = curve(each.buckets, each.lost)
        longest = max([longest, *points.reciprocals[-1:]])
        latencies += [value / NS_PER_S for value in points.values_ns if value]
        data.append(
            scatter(
                "lines",
                each.name,
                points.reciprocals,
                [seconds(value) for value in points.values_ns],
                customdata=[_percent(x) for x in points.reciprocals],
                line={"color": each.colour, "dash": each.dash, "width": 2},
                hovertemplate="%{customdata}: %{y:.3s}s",
            )
        )
    ticks = [2.0, *(10.0**power for power in range(1, math.ceil(math.log10(longest)) + 1))]
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "percentile (%)"},
            "tickvals": ticks,
            "ticktext": [_percent(tick).removesuffix(" %") for tick in ticks],
            "unifiedhovertitle": {"text": " "},  # the label's lines show it as a percentile
        },
        "yaxis": latency_axis("latency", latencies),
    }
    return data, layout


def _percent(reciprocal: float) -> str:
    """Return '50 %' or '99.9 %', with as many digits as its neighbours need to differ."""
    digits = max(1, math.ceil(math.log10(reciprocal)))
    return f"{100 * (1 - 1 / reciprocal):.{digits}f}".rstrip("0").rstrip(".") + " %"


def latency_axis(title: str, values_s: Sequence[float]) -> Json:
    """Return a logarithmic axis with a unit on every label, which plotly's own axis lacks."""
    low, high = min(values_s, default=1e-3), max(values_s, default=1e-3)
    steps = (1, 2, 5) if math.log10(high / low) <= _MAX_DECADES else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [(step, power) for power in decades for step in steps]
    return {
        "type": "log",
        "title": {"text": title},
        "tickvals": [step * 10.0**power for step, power in ticks],
        "ticktext": [_tick(step, power) for step, power in ticks],
    }


def _tick(step: int, power: int) -> str:
    """Return the label for `step` times 10 to the power of `power`, in seconds: '200 µs'."""
    thousands, rest = divmod(power, 3)
    unit = {-3: "ns", -2: "µs", -1: "ms", 0: "s"}.get(thousands)
    return f"{step * 10**rest} {unit}" if unit else f"{step * 10.0**power:g} s"


def scatter(mode: str, name: str, x: Any, y: Any, **more: Any) -> Json:
    """Return lines or markers at points. `more` are further fields of plotly's scatter trace."""
    return {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, **more}


def line(
    name: str, x: Sequence[float], y: Sequence[float | None], colour: str, dash: str, *, hover: str, width: float = 1.6
) -> Json:
    """Return a line through points, with a gap at every None."""
    style = {"color": colour, "dash": dash, "width": width}
    return scatter("lines", name, packed(x), packed(y), line=style, hovertemplate=hover)


def vertical_line(x: float, style: Json, **more: Any) -> Json:
    """Return a line from the bottom to the top of a plot."""
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": style, **more}


def packed(values: Sequence[float | None], shape: tuple[int, int] | None = None) -> Json:
    """Encode numbers as one of plotly's typed arrays: 32-bit floats in base64, NaN for None."""
    numbers = array("f", [math.nan if value is None else value for value in values])
    encoded: Json = {"dtype": "f4", "bdata": b64encode(numbers.tobytes()).decode("ascii")}
    if shape is not None:
        encoded["shape"] = f"{shape[0]}, {shape[1]}"
    return encoded


def seconds(value_ns: float | None) -> float | None:
    """Return seconds; None for None and for 0, which a logarithmic axis cannot show."""
    return value_ns / NS_PER_S if value_ns else None
