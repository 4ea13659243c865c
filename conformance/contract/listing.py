"""What the contract requires of every search: envelope, pages, order, no row twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from trueup.conformance.contract.check_names import FILTERS, PAGES
from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import JudgedRequest, ListedRows, RequestFinding
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.matching import Open, SearchRequest, compare
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.model import TARGET_LOG_ID
from trueup.conformance.rows import Row, as_int, as_row, parse_time, rows_of
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json

__all__ = [
    "Listing",
    "expect_distinct",
    "expect_match",
    "expect_order",
    "expect_pages",
    "read_listing",
    "whole_listing",
]

SORT: Final = "rows-are-sorted"


class Listing:
    """The rows of one search, page by page. `usable` is False where a page is missing."""

    __slots__ = ("complete", "pages", "rows", "usable", "walk")

    def __init__(self, pages: Sequence[tuple[Exchange, tuple[Row, ...]]], walk: bool) -> None:
        self.pages = pages
        self.walk = walk
        self.rows: list[Row] = [row for _, rows in pages for row in rows]
        self.usable = True
        self.complete = False

    def listed(self) -> ListedRows:
        """Return the rows, in the form with which other responses are compared."""
        totals = [_total_of(exchange) for exchange, _ in self.pages]
        known = [total for total in totals if total is not None and total >= 0]
        return ListedRows(
            rows=tuple(self.rows),
            complete=self.complete,
            paged=self.walk,
            total=known[-1] if known else None,
        )

    def leave_out_repeats(self, key: Callable[[Row], str]) -> None:
        """Count a row once that a later page gave again.

        Only where `total_count` does not count it twice: then the pages repeat a row (and
        `expect_pages` tells of it), otherwise the target holds two.
        """
        on_page: dict[str, int] = {}
        kept: list[Row] = []
        for number, (_, rows) in enumerate(self.pages):
            for row in rows:
                identity = key(row)
                if not identity or on_page.setdefault(identity, number) == number:
                    kept.append(row)
        total = _total_of(self.pages[-1][0])
        totals = {_total_of(exchange) for exchange, _ in self.pages}
        if total is None or total < 0 or total == len(kept) or len(totals) > 1:
            self.rows = kept


def read_listing(finding: RequestFinding, search: SearchRequest, why_not: str) -> Listing | None:
    """Return the rows of a search with status 200, or None and a note if a page is unusable.

    `why_not` names the check that needs it.
    """
    pages: list[tuple[Exchange, tuple[Row, ...]]] = []
    exchanges = finding.unit.exchanges
    walk = " in pages of " in finding.unit.ask
    for exchange in exchanges:
        rows = rows_of(exchange.body) if exchange.status == 200 else None
        if rows is None:
            finding.cannot_use_response(exchange, why_not)
            return None
        pages.append((exchange, tuple(rows)))
    listing = Listing(pages, walk)
    total = _total_of(exchanges[-1])
    last = len(pages[-1][1])
    size = as_int(as_row(exchanges[-1].body), "per_page") or search.per_page or 100
    if walk:
        enough = total is not None and 0 <= total <= len(listing.rows)
        listing.complete = last == 0 or last < size or enough
        if not listing.complete and not _repeats(pages):
            finding.cannot_use("the paged search was given up", exchanges[-1].n, why_not)
            return None
        totals = [_total_of(exchange) or 0 for exchange in exchanges]
        if any(one > two >= 0 for one, two in pairwise(totals)):
            listing.complete = False  # rows aged out meanwhile, and others moved to pages before
    else:
        first = (search.page or 1) == 1
        listing.complete = first and (last < size or total == last)
    return listing


def whole_listing(unit: JudgedRequest) -> list[Row] | None:
    """Return all rows of a search; None if a page is missing or more pages follow."""
    rows: list[Row] = []
    for exchange in unit.exchanges:
        page = rows_of(exchange.body) if exchange.status == 200 else None
        if page is None:
            return None
        rows += page
    total = _total_of(unit.exchanges[-1])
    if " in pages of " not in unit.ask and (total is None or total != len(rows)):
        return None
    return rows


def _repeats(pages: Sequence[tuple[Exchange, tuple[Row, ...]]]) -> bool:
    return len(pages) > 1 and pages[-1][1] == pages[-2][1]


def _total_of(exchange: Exchange) -> int | None:
    return as_int(as_row(exchange.body), "total_count")


def expect_pages(
    finding: RequestFinding,
    listing: Listing,
    search: SearchRequest,
    reading: Interpretation,
    key: Callable[[Row], str],
    rows_expected: int | None,
    rows_least: int = 0,
) -> None:
    """Hold the pages of a search to the page rules.

    `rows_expected`: how many rows match in all, where that is certain; `rows_least`: how many do
    at least, for a page by itself. Rows that the whole listing has twice are distinguished from
    rows that another page repeats.
    """
    where = resource_path(finding.unit.first.path)
    totals = {_total_of(exchange) for exchange, _ in listing.pages}
    moving = len(totals) > 1 and rows_expected is None
    asked_most = min(search.per_page or 100, int(reading.number("per-page-most")))
    seen: dict[str, int] = {}
    for number, (exchange, rows) in enumerate(listing.pages, 1):
        body = as_row(exchange.body)
        page = number if listing.walk else (search.page or 1)
        place = f"{where} · page {page}"
        finding.equal(PAGES, f"{place} · item_count", len(rows), as_int(body, "item_count"))
        finding.equal(PAGES, f"{place} · page", page, as_int(body, "page"), exchange.n)
        size = as_int(body, "per_page")
        if (search.per_page or 100) <= 100:
            finding.equal(PAGES, f"{place} · per_page", asked_most, size, exchange.n)
        if size is not None and len(rows) > size:
            finding.deviate(PAGES, f"{place} · rows", f"at most {size}", len(rows))
        if moving:
            continue  # rows came in while the pages were read, and pushed others along
        _expect_total(finding, listing, place, exchange, rows_expected)
        if rows_expected is None and not listing.walk and not listing.complete:
            _expect_least(finding, place, exchange, rows_least, rows, page)
        if rows_expected is not None and size:
            left = max(0, min(size, rows_expected - (page - 1) * size))
            if not listing.walk or len(listing.pages) > 1:
                finding.equal(PAGES, f"{place} · rows", left, len(rows), exchange.n)
        for row in rows:
            identity = key(row)
            before = seen.get(identity)
            if identity and before is not None and before != number:
                finding.deviate(PAGES, f"{place} · {identity}", "a row of one page", "seen before")
            seen.setdefault(identity, number)


def expect_distinct(finding: RequestFinding, listing: Listing, key: Callable[[Row], str]) -> None:
    """Hold the rows of each page to ids of their own."""
    where = resource_path(finding.unit.first.path)
    for exchange, rows in listing.pages:
        counts = Counter(filter(None, map(key, rows)))
        finding.observed(PAGES)
        for identity, number in counts.items():
            if number > 1:
                place = f"{where} · {identity}"
                finding.deviate(PAGES, place, "1 row", f"{number} rows", exchanges=(exchange.n,))


def _expect_total(
    finding: RequestFinding,
    listing: Listing,
    place: str,
    exchange: Exchange,
    rows_expected: int | None,
) -> None:
    total = _total_of(exchange)
    if total == -1:
        return
    right = len(listing.rows) if listing.complete else rows_expected
    if right is None:
        right = rows_expected
    if right is not None:
        finding.equal(PAGES, f"{place} · total_count", right, total, exchange.n)


def _expect_least(
    finding: RequestFinding,
    place: str,
    exchange: Exchange,
    least: int,
    rows: Sequence[Row],
    page: int,
) -> None:
    """A page by itself, where others may match as well: the total, and the rows of the page."""
    total, size = _total_of(exchange), as_int(as_row(exchange.body), "per_page")
    if total is not None and total != -1:
        finding.observed(PAGES)
        if total < least:
            where = f"{place} · total_count"
            finding.deviate(PAGES, where, f"at least {least}", total, exchanges=(exchange.n,))
    if size:
        here = max(0, min(size, least - (page - 1) * size))
        finding.observed(PAGES)
        if len(rows) < here:
            where = f"{place} · rows"
            finding.deviate(PAGES, where, f"at least {here}", len(rows), exchanges=(exchange.n,))


def expect_match(finding: RequestFinding, search: SearchRequest, row: Row, where: str) -> None:
    """Hold a row to the filters of its search, by what it shows."""
    finding.observed(FILTERS)
    if search.matches_row(row) is False:
        finding.deviate(
            FILTERS, where, "only rows that match", "a row that does not", definite=True
        )


def expect_order(finding: RequestFinding, listing: Listing, search: SearchRequest) -> None:
    """Hold rows to `sort_by`: neighbours, and rows with others between them, in order."""
    if search.order is None:
        return
    field, descending = search.order.field, search.order.descending
    where = resource_path(finding.unit.first.path)
    last: Json = None
    differing = 0
    for row in listing.rows:
        value = _sort_value(field, _shown_value(field, row))
        if value is None:
            continue
        order = compare(field.kind, last, value) if last is not None else None
        if order is not None and order != 0:
            differing += 1
            if (order > 0) is not descending:
                direction = "largest first" if descending else "smallest first"
                sort = f"{field.name}{'_desc' if descending else ''}"
                finding.deviate(
                    SORT,
                    f"{where} · sort_by={sort}",
                    direction,
                    f"{last} before {value}",
                    definite=True,
                )
                return
        if order is not None or last is None:
            last = value
    finding.observed(SORT, differing)


def _shown_value(field: ApiField, row: Row) -> Json:
    """Return the value that the target showed: of a log with an id of its own, that id."""
    if field.name == "log_id" and TARGET_LOG_ID in row:
        return row[TARGET_LOG_ID]
    return row.get(field.name)


def expect_slice(
    finding: RequestFinding,
    listed: ListedRows,
    search: SearchRequest,
    values: Sequence[Json | Open],
) -> None:
    """Hold one page of a sorted search to the place that it has in the whole.

    `values`: those of the field that is sorted by, of all matching rows, in any order. Where null
    values stand, first or last, is open; texts whose order depends on a collation are left out.
    """
    if (
        not values
        or search.order is None
        or listed.paged
        or search.page is None
        or search.per_page is None
    ):
        return
    known = [value for value in values if value is not None and not isinstance(value, Open)]
    if any(isinstance(value, Open) for value in values):
        return
    keys = [_slice_key(search.order.field, value) for value in known]
    if any(key is None for key in keys) or search.per_page > 100:
        return
    ordered = sorted(key for key in keys if key is not None)
    if search.order.descending:
        ordered.reverse()
    nulls: list[tuple[int, str]] = [(-1, "")] * (len(values) - len(known))
    first = (search.page - 1) * search.per_page
    places = slice(first, first + search.per_page)
    allowed = [[*nulls, *ordered][places], [*ordered, *nulls][places]]
    field = search.order.field
    seen = [
        (-1, "") if row.get(field.name) is None else _slice_key(field, row.get(field.name))
        for row in listed.rows
    ]
    finding.observed(SORT, len(seen))
    if seen not in allowed and len(seen) == len(allowed[0]):
        where = resource_path(finding.unit.first.path)
        sort = f"{field.name}{'_desc' if search.order.descending else ''}"
        place = next(n for n, key in enumerate(seen) if key != allowed[1][n])
        finding.deviate(
            SORT,
            f"{where} · sort_by={sort} · page {search.page} of {search.per_page} · row {place + 1}",
            " or ".join(dict.fromkeys(_spoken(each[place]) for each in allowed)),
            _spoken(seen[place]),
            topic=("slice", finding.unit.customer, where.partition("/")[0]),
        )


def _spoken(key: tuple[int, str] | None) -> str:
    if key is None:
        return "another value"
    return "nothing" if key == (-1, "") else (key[1] or str(key[0]))


def _slice_key(field: ApiField, value: Json) -> tuple[int, str] | None:
    """Something that orders as every target must order it; None where that is open."""
    if field.kind is FieldKind.WHOLE:
        whole = as_int({"v": value}, "v")
        return None if whole is None or whole < 0 else (whole, "")
    if field.kind is FieldKind.TIME:
        at = parse_time(value)
        return None if at is None else (int(at.timestamp()), "")
    text = str(value)
    plain = field.kind in (FieldKind.TEXT, FieldKind.COUNTRY) and text.isascii()
    return (0, text) if plain and text.isalpha() and text.islower() else None


def _sort_value(field: ApiField, value: Json) -> Json:
    """A value as it sorts; a number that came as text or a float that is whole is an integer."""
    whole = as_int({"v": value}, "v")
    return whole if whole is not None and field.kind.value == "integer" else value
