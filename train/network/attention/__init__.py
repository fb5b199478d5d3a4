"""Attention over maps ``(T, B, C, H, W)``: which of them count, and where in space."""
