"""Networks and maths. Knows nothing of processes, sockets or the app."""
