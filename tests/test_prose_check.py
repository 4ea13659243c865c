"""The prose check finds retired words where people read, and nowhere else."""

from pathlib import Path

import pytest

from tools.prose_check import (
    ROOT,
    count_returns,
    find_repeated_class_names,
    find_retired_words,
    load_table,
    package_of,
    spell_out,
)

TABLE = load_table()


def words_in(source: str, path: str = "simulator/example.py") -> list[str]:
    return sorted(place.found.lower() for place in find_retired_words(path, source, TABLE))


@pytest.mark.parametrize(
    "source",
    [
        '"""Wait for the answer."""',
        'def f():\n    """Wait for the answer."""\n',
        "# wait for the answer\n",
        'raise ValueError("no answer came")',
        'raise ValueError(f"no answer from {host}")',
        "def test_the_answer_is_read(): ...\n",
        "class LateAnswer: ...\n",
        "def wait_for_answer(): ...\n",
    ],
)
def test_a_retired_word_is_found_in_every_kind_of_text_of_a_python_file(source: str) -> None:
    assert words_in(source) == ["answer"]


def test_a_retired_word_is_found_in_a_document_and_in_a_file_name() -> None:
    assert words_in("First line.\nThe answers are kept.\n", "docs/page.md") == ["answers"]
    assert words_in("", "simulator/late_answers.py") == ["answers"]


@pytest.mark.parametrize("source", ["answer = 1\n", 'key = row["answer"]\n', "f(answer=1)\n"])
def test_keys_and_names_of_variables_are_not_read(source: str) -> None:
    assert words_in(source) == []


def test_the_plain_sense_of_a_word_is_accepted() -> None:
    assert words_in("The wall-clock time, and room for one more row.\n", "docs/page.md") == []
    assert words_in("The walls between rooms.\n", "docs/page.md") == ["rooms", "walls"]


def test_the_line_of_a_place_is_the_line_of_the_word_in_a_long_docstring() -> None:
    source = '"""First line.\n\nThe answer.\n"""\n'
    assert [place.line for place in find_retired_words("a.py", source, TABLE)] == [3]


def test_an_allowed_word_is_accepted_in_its_file_only(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text(
        '[[retired]]\nword = "comb"\nuse = "boundary times"\n'
        '[[allowed]]\npath = "docs/bees.md"\nwords = ["comb"]\nreason = "It is about bees."\n'
    )
    table = load_table(path)
    assert find_retired_words("docs/bees.md", "a comb", table) == []
    assert len(find_retired_words("docs/other.md", "a comb", table)) == 1


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ('[[retired]]\nword = "comb"\n', "no replacement"),
        (
            '[[retired]]\nword = "comb"\nuse = "x"\n[[allowed]]\npath = "a"\nwords = ["comb"]\n',
            "no reason",
        ),
        (
            '[[retired]]\nword = "comb"\nuse = "x"\n'
            '[[allowed]]\npath = "a"\nwords = ["fence"]\nreason = "r"\n',
            "no row retires",
        ),
    ],
)
def test_a_table_with_an_incomplete_row_is_refused(
    tmp_path: Path, rows: str, complaint: str
) -> None:
    path = tmp_path / "words.toml"
    path.write_text(rows)
    with pytest.raises(ValueError, match=complaint):
        load_table(path)


def test_every_allowance_names_a_file_that_exists() -> None:
    for row in TABLE.allowances:
        assert list(ROOT.glob(row.path)), row.path


def test_a_class_name_that_two_files_define_is_reported_with_both_places() -> None:
    sources = {
        "a.py": "class Row: ...\n",
        "b.py": "\nclass Row: ...\n",
        "c.py": "class Cell: ...\n",
    }
    assert find_repeated_class_names(sources) == {"Row": ["a.py:1", "b.py:2"]}


def test_returns_are_counted_in_docstrings_alone() -> None:
    source = 'def f():\n    """Return the sum; returns 0 for no rows."""\n    return "return"\n'
    assert count_returns([source]) == (2, 8)


def test_identifiers_are_read_as_words() -> None:
    assert spell_out("test_oneHTTPRow_is_read") == "test one HTTPRow is read"
    assert package_of("tests/load/test_x.py") == "tests/load"
    assert package_of("simulator/model/ids.py") == "simulator"
    assert package_of("README.md") == "README.md"
