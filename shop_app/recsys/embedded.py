"""The gateway to the engine in this process."""
