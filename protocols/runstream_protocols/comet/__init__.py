"""Comet: what the unmodified `comet_ml` writes (`writes`) and reads (`reads`)."""
