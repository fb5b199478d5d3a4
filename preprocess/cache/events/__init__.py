"""The event cache: events in chunks of time, compressed, and read a window at a time."""
