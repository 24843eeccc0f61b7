"""Recorded data made from a seed, with what must be visible of it."""
