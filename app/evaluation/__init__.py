"""Published datasets, for `poselift evaluate`."""
