"""What the parts of `API` return: frozen values, and lists of them that become tables."""
