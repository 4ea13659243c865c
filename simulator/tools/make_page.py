"""Write the table of parameters into `docs/fleet.md`: run it after a profile was changed.

python -m trueup.simulator.tools.make_page
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trueup.simulator.model.profile import GRADES, Value, load_profile

__all__ = ["main", "parameter_table"]

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "fleet.md"
_BEGIN: Final = "<!-- parameters: made by trueup.simulator.tools.make_page -->"
_END: Final = "<!-- end of parameters -->"


def parameter_table() -> str:
    """Return every parameter of the default profile as a Markdown table."""
    lines = ["| parameter | value | unit | grade | source |", "|---|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {_shown(row.value)} | {row.unit} | {row.grade} | {row.source} |"
        for row in load_profile("default").parameters.values()
    ]
    grades = ", ".join(f"{letter} {meaning}" for letter, meaning in GRADES.items())
    return f"Grades: {grades}.\n\n" + "\n".join(lines)


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{name}:{weight}" for name, weight in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    """Replace the table in the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(_BEGIN)
    tail = rest.partition(_END)[2]
    PAGE.write_text(f"{head}{_BEGIN}\n\n{parameter_table()}\n\n{_END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
