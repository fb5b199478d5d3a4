"""A model and a part of a cache in, its accuracy, loss and firing out."""
