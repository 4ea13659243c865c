"""docs/targets.md: its tables are made from the code, and its examples are valid."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
import trustme

from trueup.conformance.docgen.pages import put_between
from trueup.conformance.docgen.targets_page import PAGE, targets_reference
from trueup.conformance.target.load import levels, load_target

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / PAGE).read_text("utf-8")
_BLOCKS = re.findall(r"```toml\n(.*?)```", _PAGE, re.DOTALL)
_EXAMPLES = sorted((_ROOT / "scenarios" / "targets").glob("*.toml"))


class _Everything(defaultdict[str, str]):
    """An environment in which every variable is set."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return "/bin:/usr/bin" if name == "PATH" else f"value-of-{name}"


def test_the_page_is_up_to_date() -> None:
    """Otherwise: python -m trueup.conformance.docgen.targets_page"""
    assert put_between(_PAGE, targets_reference()) == _PAGE


def test_the_smallest_example_is_short_and_reaches_level_0(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_BLOCKS[0])
    assert len(_BLOCKS[0].splitlines()) <= 12
    assert levels(load_target(file, _Everything())) == {0}


@pytest.mark.parametrize("number", range(len(_BLOCKS)))
def test_every_example_of_the_page_is_valid(tmp_path: Path, number: int) -> None:
    """Parts are added to the second example, which is complete."""
    whole, part = _BLOCKS[1], _BLOCKS[number]
    if part.startswith("name"):
        text = part
    elif part.startswith("[ingest]"):
        text = whole[: whole.index("[ingest]")] + part
    elif part.startswith("disposable"):
        text = part + whole
    elif part.startswith("claims"):
        text = part.split("\n\n", 1)[0] + "\n" + whole + part.split("\n\n", 1)[1]
    else:
        text = whole + part
    program = tmp_path / "put-events.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    if part.startswith("[tls]"):
        write_certificates(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(text)
    assert load_target(file, _Everything()).name


def write_certificates(folder: Path) -> None:
    """The files that the page names below `[tls]`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    client = authority.issue_cert("client")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")


@pytest.mark.parametrize("file", _EXAMPLES, ids=lambda file: file.stem)
def test_every_example_file_is_valid(file: Path) -> None:
    wanted = {
        "read-only": {0},
        "http": {0, 2},
        "broker": {0, 2},
        "reference": {0, 2, 3},
        "program": {0, 2, 3, 4},
    }
    assert levels(load_target(file, _Everything())) == wanted[file.stem]
    assert f"scenarios/targets/{file.name}" in _PAGE or file.stem == "read-only"
