"""A frame cache and a recipe in, training batches out."""
