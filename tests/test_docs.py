"""The documents: links lead somewhere, and what they say of the code is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.layers_table import layer_rows, with_table

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(str(path.resolve().relative_to(ROOT))), f"{page}: {target}"


def test_every_page_is_linked_from_another() -> None:
    """Links of pages, and of the README, reach every page."""
    linked = {
        ((ROOT / page).parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", read(page))
        if not re.match(r"[a-z]+:", target)
    }
    alone = {page for page in PAGES if (ROOT / page).resolve() not in linked} - {"README.md"}
    assert alone <= {"CHANGELOG.md"}


def test_the_table_of_layers_is_that_of_the_import_contracts() -> None:
    """`make docs` writes it."""
    page = read("docs/architecture.md")
    assert with_table(page, layer_rows()) == page


def test_every_term_of_the_glossary_is_defined_once() -> None:
    terms = re.findall(r"^\| ([a-z][^|]*?) \|", read("docs/glossary.md"), re.MULTILINE)
    terms = [term for term in terms if term != "term"]
    assert len(terms) > 60
    assert len(terms) == len(set(terms))


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_glossary_is_linked_where_readers_begin(page: str) -> None:
    assert "glossary.md" in read(page)


def test_commands_and_files_that_pages_name_exist() -> None:
    """Paths in code spans of the pages for contributors are those of files or folders."""
    for page in ("CONTRIBUTING.md", "docs/style.md", "docs/architecture.md"):
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|toml|md|json))`", read(page)):
            assert (ROOT / path).exists(), f"{page}: {path}"
