"""The README's picture is remade, never typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.scenarios.screen import remake

README = Path(__file__).parents[2] / "README.md"


def test_the_picture_stands_between_its_marks() -> None:
    """What was there is replaced, the rest stays."""
    before = "a\n<!-- screen -->\n```\nold\n```\n<!-- /screen -->\nb\n"
    assert remake(before, "new\n") == before.replace("old", "new")


def test_a_text_without_marks_is_refused() -> None:
    """Nothing is silently left as it was."""
    with pytest.raises(ValueError, match="found 0"):
        remake("a", "new\n")


def test_the_readme_shows_a_whole_run() -> None:
    """The picture is of a run that conforms, with its load and its verdicts."""
    text = README.read_text(encoding="utf-8")
    picture = text.partition("<!-- screen -->")[2].partition("<!-- /screen -->")[0]
    assert "Conforms" in picture
    assert "correct events/s" in picture
