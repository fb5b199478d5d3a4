"""The spiking network: frames ``(B, T, 2, H, W)`` in, logits of every time step out."""
