"""Batches of event frames in, the frames that training sees out, by draws of a seed."""
