"""Comet's page on Python Panels: every method under its documented name and signature.

    from runstream import API                    # there: from comet_ml import API
    from runstream.query import Metric, Tag      # there: from comet_ml.query import Metric, Tag

Where the page and Comet's present client take different arguments, both are taken.
"""
