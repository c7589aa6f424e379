"""The workers as processes of a machine: the loop that each runs, the supervisor, the service manager, their memory."""
