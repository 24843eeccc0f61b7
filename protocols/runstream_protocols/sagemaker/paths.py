"""The addresses of SageMaker's interface."""

from typing import Final

from runstream_protocols.protocol import Location, Side

#: What users give as `endpoint_url`. The client sends all of its requests there, whatever they do.
ADDRESS: Final = "/sagemaker"
LOCATIONS: Final = (Location(ADDRESS, Side.GATEWAY),)
