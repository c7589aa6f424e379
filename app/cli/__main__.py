"""`python -m app.cli` is the `poselift` command."""

from app.cli import main

main()
