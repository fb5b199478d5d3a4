"""What the commands print for people: results in, lines of at most a terminal's width out."""
