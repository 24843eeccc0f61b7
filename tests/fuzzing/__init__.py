"""Seeded, structure-aware fuzzing of everything that takes in bytes from others. `make fuzz`; see cases.py first.

A case is (seed, target, number): the same three give the same input on every machine. An input is always bytes, so
that every one can be saved, made smaller and tried again, whatever the target makes of it.
"""
