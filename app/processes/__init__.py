"""The workers as processes of a machine: started, watched, ended; their memory and their service manager."""
