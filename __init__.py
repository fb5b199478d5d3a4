"""snntx: carry knowledge from static images into spiking networks for event cameras.

Importing this package imports nothing else: ``snntx.preprocess`` turns raw recordings
into a frame cache without torch, ``snntx.train`` turns a frame cache into a network.
"""

__version__ = "0.1.0"
