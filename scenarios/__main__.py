"""`python -m scenarios` is `trueup`."""

from scenarios.cli import main

main()
