"""Start Locust with the command line as its only configuration.

`python -m trueup.scenarios.locustfiles.start ARGUMENTS` takes Locust's own arguments. Unlike
`locust`, it reads no `locust.conf`, no `~/.locust.conf`, no `pyproject.toml` and no variable
`LOCUST_*`: settings for other tests would change a run, or keep it waiting
for a master that never comes.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["main"]

_PREFIX = "LOCUST_"


def main() -> None:
    """Run Locust; ends the process with its exit status."""
    # Locust reads some of its variables when it is imported.
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        del os.environ[name]
    import locust.main
    from locust import argument_parser

    make_parser: Any = argument_parser.get_empty_argument_parser
    run_locust: Any = locust.main.main

    def without_files(*arguments: Any, **options: Any) -> Any:
        return make_parser(*arguments, **{**options, "default_config_files": ()})

    argument_parser.get_empty_argument_parser = without_files
    run_locust()


if __name__ == "__main__":
    main()
