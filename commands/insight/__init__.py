"""Words and options in; what a trained run's branches and layers do with its data, out."""
