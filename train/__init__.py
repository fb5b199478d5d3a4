"""Stage two: a sealed frame cache in, a trained spiking network and its report out."""
