"""One module a network, named as the network is."""
