"""What `poselift.connect` gives a program: the poses of a running pipeline, here or elsewhere."""
