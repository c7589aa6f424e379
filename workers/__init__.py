"""One file per process: `run(config, bus)` around a pure class that can be tested without a socket."""
