"""Every figure of docs/bench.md, by one command: `python -m bench`."""
