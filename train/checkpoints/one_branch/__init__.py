"""Published weights of networks with one branch: what they are of, and where they fit."""
