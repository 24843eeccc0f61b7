"""Comet's own client: the programs that run in its environment, and what tests know of them."""
