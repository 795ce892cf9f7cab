"""`python -m rater.cli` is the `rater` command."""

from rater.cli import main

main()
