"""What is made of a session's poses: one file per format."""
