"""The HTTP interfaces of other trackers, one folder each, so that their unmodified clients work here."""
