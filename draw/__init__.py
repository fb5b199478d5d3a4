"""Recordings and what networks make of them in, pictures out: clouds, and moving pictures."""
