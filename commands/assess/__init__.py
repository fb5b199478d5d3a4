"""Commands on trained weights: how good they are, what they answer, and weights for others."""
