"""A trained run and parts of its cache in; what its branches and layers do with them out."""
