"""`python -m poselift` is the `poselift` command."""

from poselift.app.cli import main

main()
