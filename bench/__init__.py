"""Every number of the README, by one command: `python -m bench`."""
