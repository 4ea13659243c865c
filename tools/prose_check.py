"""Check that the project's text uses the words of docs/glossary.md.

Reads docstrings, comments, messages, names of tests, classes, functions and files, and every
document and template, and reports the words that `tools/retired_words.toml` lists. Reports class
names that are defined twice, and how often docstrings say what they return.

    python -m tools.prose_check             every place and its replacement; status 1 if any
    python -m tools.prose_check --report    the number of places by package; status 0
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("retired_words.toml")
TEXT_SUFFIXES = {".md", ".toml", ".j2", ".json", ".css", ".sh"}
TEXT_NAMES = {"Makefile", "run"}
LEAST_RETURNS_PER_1000_WORDS = 4.0
PACKAGES = ("conformance", "reference", "reports", "scenarios", "simulator", "src")

_COMPOUND = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of text and the line on which it begins."""

    line: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredWord:
    """A word that the project no longer uses, as a pattern, and what to write for it."""

    name: str
    pattern: re.Pattern[str]
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Files in which some retired words may stand, and why."""

    path: str
    words: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTable:
    """The rows of `retired_words.toml`."""

    words: tuple[RetiredWord, ...]
    allowances: tuple[Allowance, ...]

    def allows(self, path: str, word: str) -> bool:
        """Return whether the word may stand in the file."""
        return any(
            Path(path).match(row.path) and (word in row.words or "*" in row.words)
            for row in self.allowances
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredUse:
    """A retired word that was found, and where."""

    path: str
    line: int
    kind: str
    word: str
    found: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.found!r}: write {self.replacement}"


def load_table(path: Path = TABLE) -> WordTable:
    """Read the table of retired words.

    Raises:
        ValueError: a row has no replacement, an allowance no reason, or a word is unknown.
    """
    data = tomllib.loads(path.read_text("utf-8"))
    words = []
    for row in data["retired"]:
        if not row.get("use"):
            raise ValueError(f"{path.name}: {row['word']!r} has no replacement: add 'use'")
        exceptions = "".join(f"(?!{text})" for text in row.get("except", ()))
        before = "".join(f"(?<!{text})" for text in row.get("except_after", ()))
        pattern = re.compile(rf"{before}\b{exceptions}(?:{row['word']})\b", re.IGNORECASE)
        words.append(
            RetiredWord(name=row.get("name", row["word"]), pattern=pattern, replacement=row["use"])
        )
    names = {word.name for word in words}
    allowances = []
    for row in data.get("allowed", ()):
        if not row.get("reason"):
            raise ValueError(f"{path.name}: the allowance of {row['path']} has no reason")
        unknown = set(row["words"]) - names - {"*"}
        if unknown:
            raise ValueError(
                f"{path.name}: {row['path']} allows words that no row retires: {unknown}"
            )
        allowances.append(
            Allowance(path=row["path"], words=tuple(row["words"]), reason=row["reason"])
        )
    return WordTable(words=tuple(words), allowances=tuple(allowances))


def spell_out(name: str) -> str:
    """Return an identifier as separate words: `test_oneRow` as `test one Row`."""
    return " ".join(part for part in _COMPOUND.split(name) if part)


def docstring_nodes(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the constants of a module's, its classes' and its functions' docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value


def passages_of_python(source: str) -> Iterator[Passage]:
    """Yield a Python file's docstrings, comments, messages and defined names."""
    tree = ast.parse(source)
    docstrings = {id(node): node for node in docstring_nodes(tree)}
    for docstring in docstrings.values():
        yield Passage(line=docstring.lineno, kind="docstring", text=str(docstring.value))
    inside_formatted: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=values, lineno=line):
                inside_formatted.update(id(part) for part in values)
                parts = (
                    str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values
                )
                yield from _message(line, "".join(parts))
            case ast.Constant(value=str(text), lineno=line):
                if id(node) not in docstrings and id(node) not in inside_formatted:
                    yield from _message(line, text)
            case ast.ClassDef(name=name, lineno=line):
                yield Passage(line=line, kind="class name", text=spell_out(name))
            case (
                ast.FunctionDef(name=name, lineno=line)
                | ast.AsyncFunctionDef(name=name, lineno=line)
            ):
                kind = "test name" if name.startswith("test_") else "function name"
                yield Passage(line=line, kind=kind, text=spell_out(name))
            case _:
                pass
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(line=token.start[0], kind="comment", text=token.string)


def _message(line: int, text: str) -> Iterator[Passage]:
    """Yield a string if it is a sentence or a phrase; keys and identifiers are not read."""
    if " " in text.strip():
        yield Passage(line=line, kind="message", text=text)


def passages_of_text(source: str) -> Iterator[Passage]:
    """Yield the lines of a document, a template or a configuration file."""
    for number, line in enumerate(source.splitlines(), start=1):
        yield Passage(line=number, kind="text", text=line)


def passages_of(path: Path, source: str) -> Iterator[Passage]:
    """Yield every passage of a file, its name first."""
    yield Passage(line=1, kind="file name", text=re.sub(r"[-_.]", " ", path.stem))
    yield from passages_of_python(source) if path.suffix == ".py" else passages_of_text(source)


def find_retired_words(path: str, source: str, table: WordTable) -> list[RetiredUse]:
    """Return every retired word of a file that no row allows there, in the order of lines."""
    places: list[RetiredUse] = []
    words = [word for word in table.words if not table.allows(path, word.name)]
    if not words:
        return []
    any_word = re.compile("|".join(word.pattern.pattern for word in words), re.IGNORECASE)
    for passage in passages_of(Path(path), source):
        if not any_word.search(passage.text):
            continue
        for word in words:
            for match in word.pattern.finditer(passage.text):
                line = passage.line + passage.text.count("\n", 0, match.start())
                places.append(
                    RetiredUse(
                        path=path,
                        line=line,
                        kind=passage.kind,
                        word=word.name,
                        found=match.group(),
                        replacement=word.replacement,
                    )
                )
    return sorted(places, key=lambda place: place.line)


def find_repeated_class_names(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the class names that are defined more than once, with `path:line` of each."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path}:{node.lineno}")
    return {name: places for name, places in sorted(found.items()) if len(places) > 1}


def count_returns(sources: Iterable[str]) -> tuple[int, int]:
    """Return how often docstrings say `return` or `returns`, and how many words they hold."""
    returns = words = 0
    for source in sources:
        for node in docstring_nodes(ast.parse(source)):
            text = str(node.value)
            returns += len(re.findall(r"\breturns?\b", text, re.IGNORECASE))
            words += len(text.split())
    return returns, words


def read_project() -> dict[str, str]:
    """Return the text of every file under version control that the check reads, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return {
        name: path.read_text("utf-8")
        for name in listed
        if (path := ROOT / name).is_file()
        and not path.is_symlink()
        and (path.suffix in TEXT_SUFFIXES | {".py"} or path.name in TEXT_NAMES)
    }


def package_of(path: str) -> str:
    """Return the package or the top-level file that a path belongs to; tests by their folder."""
    parts = Path(path).parts
    if parts[0] == "tests" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 else path


def write_report(
    places: Sequence[RetiredUse],
    repeated: Mapping[str, Sequence[str]],
    density: Mapping[str, float],
) -> Iterator[str]:
    """Yield the lines of the report: counts by package and word."""
    by_package: defaultdict[str, list[RetiredUse]] = defaultdict(list)
    for place in places:
        by_package[package_of(place.path)].append(place)
    yield f"{len(places)} retired words; {len(repeated)} class names used twice"
    yield ""
    yield "docstrings: return(s) per 1,000 words"
    for name, value in density.items():
        yield f"  {name:<24}{value:6.1f}"
    for name, found in sorted(by_package.items(), key=lambda item: -len(item[1])):
        words = Counter(place.word for place in found)
        yield ""
        yield f"{name}: {len(found)}"
        yield "  " + ", ".join(f"{word} {count}" for word, count in words.most_common())
    yield ""
    yield "class names used twice"
    for name, lines in repeated.items():
        yield f"  {name}: {', '.join(lines)}"


def measure_density(sources: Mapping[str, str]) -> dict[str, float]:
    """Return `return(s)` per 1,000 words of docstrings, by package and for all."""
    installed = {
        path: text
        for path, text in sources.items()
        if path.endswith(".py") and path.split("/")[0] in PACKAGES
    }
    density = {}
    for package in (*PACKAGES, "all"):
        returns, words = count_returns(
            text for path, text in installed.items() if package in ("all", path.split("/")[0])
        )
        density[package] = 1000 * returns / words if words else 0.0
    return density


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the project and print what was found; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose_check", description=__doc__)
    parser.add_argument("--report", action="store_true", help="print counts by package; status 0")
    options = parser.parse_args(arguments)
    table = load_table()
    sources = read_project()
    places = [
        place for path, text in sources.items() for place in find_retired_words(path, text, table)
    ]
    repeated = find_repeated_class_names(
        {path: text for path, text in sources.items() if path.endswith(".py")}
    )
    density = measure_density(sources)
    if options.report:
        print("\n".join(write_report(places, repeated, density)))
        return 0
    for place in places:
        print(place)
    for name, found in repeated.items():
        print(f"{found[-1]}: class name {name} is used before, at {', '.join(found[:-1])}")
    del density["src"]  # entry points, whose functions return nothing
    too_few = [name for name, found in density.items() if found < LEAST_RETURNS_PER_1000_WORDS]
    for name in too_few:
        print(
            f"{name}: docstrings say what they return {density[name]:.1f} times per 1,000 words; "
            f"at least {LEAST_RETURNS_PER_1000_WORDS} are expected"
        )
    return 1 if places or repeated or too_few else 0


if __name__ == "__main__":
    sys.exit(main())
