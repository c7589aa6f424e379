"""What holds the processes together: the bus, the messages, the recording, the supervisor, the command line."""
