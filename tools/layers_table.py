"""Write the table of layers in docs/architecture.md from the import contracts in pyproject.toml.

python -m tools.layers_table
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"

_TABLE = re.compile(
    r"(?<=\| package \| layers, from the highest to the lowest \|\n\|---\|---\|\n)(\|.*\n)*"
)


def layer_rows() -> list[str]:
    """Return one row for each import contract of the type `layers`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [
        f"| `{contract['containers'][0].removeprefix('trueup.')}/` | "
        + " → ".join(
            ", ".join(f"`{name.strip()}`" for name in layer.split("|"))
            for layer in contract["layers"]
        )
        + " |"
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]


def with_table(text: str, rows: list[str]) -> str:
    """Return the page with these rows in its table.

    Raises:
        ValueError: the page has no such table, or several.
    """
    table = "".join(f"{row}\n" for row in rows)
    made, count = _TABLE.subn(lambda _: table, text)
    if count != 1:
        raise ValueError(f"{PAGE.name}: expected one table of layers, found {count}")
    return made


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), layer_rows()), "utf-8")
