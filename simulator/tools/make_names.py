"""Create `simulator/data/names.json`: names drawn from faker once.

    python -m trueup.simulator.tools.make_names > simulator/data/names.json

faker's output changes between its releases, and it draws two thousand names a second; the fleet
needs names that stay the same and cost nothing to look up.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

from faker import Faker

__all__ = ["main"]


def _draw(make: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(make())
    return list(found)


def main() -> None:
    """Write the names to the standard output as JSON."""
    faker = Faker("en_US")
    Faker.seed(20250401)
    names = {
        "companies": _draw(faker.company, 400),
        "people": _draw(faker.name, 800),
        "proxy_users": _draw(lambda: re.sub("[^a-z0-9]", "", faker.user_name())[:16], 2000),
        "words": _draw(lambda: re.sub("[^a-z]", "", faker.word().lower()), 600),
        "top_level_domains": [
            "com",
            "net",
            "org",
            "io",
            "de",
            "co.uk",
            "fr",
            "shop",
            "app",
            "info",
        ],
    }
    json.dump(names, sys.stdout, indent=0, ensure_ascii=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
