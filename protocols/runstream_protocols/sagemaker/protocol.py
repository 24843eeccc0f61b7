"""SageMaker Experiments' client, as the rest of the server knows it."""

from typing import Final

from runstream_protocols.protocol import Protocol
from runstream_protocols.sagemaker.access import ACCESS
from runstream_protocols.sagemaker.paths import ADDRESS, LOCATIONS
from runstream_protocols.sagemaker.routes import ROUTES, add_sagemaker
from runstream_protocols.sagemaker.s3.routes import ROUTES as FILES

SAGEMAKER: Final = Protocol(
    name="sagemaker",
    title="SageMaker Experiments",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=(*ROUTES, *FILES),
    add_writes=add_sagemaker,
)
