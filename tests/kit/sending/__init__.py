"""The sender's surroundings: spools written by hand, a channel without a network, a gateway that misbehaves."""
