"""The addresses of SageMaker's interface."""

from typing import Final

from runstream_protocols.protocol import Location, Side

#: What users give as `endpoint_url`. The client sends its requests there, whatever they do.
ADDRESS: Final = "/sagemaker"
#: Where boto3's client of the service for metrics sends them, which is given the same address.
METRICS: Final = f"{ADDRESS}/BatchPutMetrics"
LOCATIONS: Final = (Location(ADDRESS, Side.GATEWAY), Location(f"{ADDRESS}/", Side.GATEWAY))
