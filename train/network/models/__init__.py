"""One module a network, which registers its class under the module's name."""
