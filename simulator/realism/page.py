"""Render the realism figures as a table for a terminal, and as an HTML page with SVG plots."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import Final

from trueup.simulator.realism.measures import Figure, Measured

__all__ = ["page", "plot", "table"]

_COLOURS: Final = ("#0b6e99", "#c2571a")
_WIDTH, _HEIGHT, _MARGIN = 340, 200, 44
Lines = dict[str, list[tuple[float, float]]]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value != value:  # NaN: too few events
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(measured: Measured) -> str:
    """Return every figure beside its target and its control, 80 columns wide."""
    head = f"{'':12}{'figure':32}{'model':>10}  {'target':13}{'control':>10}"
    lines = [f"{measured.events:,} events over {measured.seconds / 3600:.1f} h", head]
    for network, rows in groupby(sorted(measured.figures, key=_order), key=lambda r: r.network):
        lines.append("")
        for row in rows:
            lines.append(
                f"{network:12}{row.metric[:31]:32}{_number(row.model):>10}  "
                f"{row.target[:12]:13}{_number(row.control):>10}"
            )
            network = ""
    lines.append("")
    lines.append("Controls: Poisson at the hourly rate, exponential sizes, even hostnames,")
    lines.append("shuffled columns, failures spread at random.")
    return "\n".join(lines)


def _order(row: Figure) -> int:
    names = ["datacenter", "isp", "residential", "mobile", "all"]
    return names.index(row.network)


def page(measured: Measured) -> str:
    """Return one HTML page that needs no network."""
    rows = "".join(
        f"<tr><td>{escape(row.network)}<td>{escape(row.aspect)}<td>{escape(row.metric)}"
        f"<td class=n>{_number(row.model)}<td>{escape(row.target)}"
        f"<td class=n>{_number(row.control)}</tr>"
        for row in sorted(measured.figures, key=_order)
    )
    plots = "".join(plot(title, lines) for title, lines in measured.curves.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Fleet realism</title><style>'
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;"
        "color:#1b1b1b}table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;"
        "border-bottom:1px solid #ddd}.n{text-align:right;font-variant-numeric:tabular-nums}"
        "figure{display:inline-block;margin:.5rem;width:340px;vertical-align:top}figcaption{font-size:13px}</style>"
        f"<h1>Fleet realism</h1><p>{measured.events:,} events over {measured.seconds / 3600:.1f} h."
        " Each figure stands beside a control that is not real: Poisson arrivals at the same hourly"
        " rate, exponential sizes, even hostnames, shuffled columns, failures spread at random."
        f"</p><div>{plots}</div><table><tr><th>network<th>aspect<th>figure<th>model<th>target"
        f"<th>control</tr>{rows}</table></html>\n"
    )


def plot(title: str, lines: Lines) -> str:
    """Return an inline SVG figure: the model and its control on shared axes."""
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    low_x, high_x = min(p[0] for p in points), max(p[0] for p in points)
    low_y, high_y = min(p[1] for p in points), max(p[1] for p in points)
    step_x = (_WIDTH - 2 * _MARGIN) / ((high_x - low_x) or 1)
    step_y = (_HEIGHT - 2 * _MARGIN) / ((high_y - low_y) or 1)
    drawn = []
    for place, (name, line) in enumerate(lines.items()):
        path = " ".join(
            f"{_MARGIN + (x - low_x) * step_x:.1f},{_HEIGHT - _MARGIN - (y - low_y) * step_y:.1f}"
            for x, y in line
        )
        colour = _COLOURS[place % len(_COLOURS)]
        dash = ' stroke-dasharray="5 3"' if place else ""
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
            f'<text x="{_MARGIN + 100 * place}" y="18" font-size="12" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    base = _HEIGHT - _MARGIN
    axes = (
        f'<path d="M{_MARGIN},24V{base}H{_WIDTH - 10}" fill="none" stroke="#666"/>'
        f'<text x="{_MARGIN}" y="{base + 16}" font-size="11">{_number(low_x)}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{base + 16}" font-size="11">{_number(high_x)}</text>'
        f'<text x="2" y="{base}" font-size="11">{_number(low_y)}</text>'
        f'<text x="2" y="{_MARGIN}" font-size="11">{_number(high_y)}</text>'
    )
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{axes}{''.join(drawn)}</svg><figcaption>{escape(title)}{_axes_of(title)}</figcaption>"
        "</figure>"
    )


def _axes_of(title: str) -> str:
    """Return the axes of a plot, by the first word of its title."""
    words = {
        "Haar": " (octave of seconds; log2 energy)",
        "Hour": " (hour UTC; events)",
        "Sizes": " (log10 bytes; log10 share above)",
        "Hostname": " (log10 rank; log10 requests)",
    }
    return words.get(title.split()[0], "")
