"""BatchPutMetrics, of AWS's service for metrics: points of a component's curves."""

from runstream.events.moments import micros_of
from runstream_protocols.kit.points import Value, values_frames
from runstream_protocols.kit.values import metric_name
from runstream_protocols.sagemaker.models import BatchPutMetricsRequest, BatchPutMetricsResponse
from runstream_protocols.sagemaker.names import COMPONENT, name_in
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_service.turns import worked


async def put(side: SagemakerSide, request: BatchPutMetricsRequest) -> BatchPutMetricsResponse:
    """Log points, all of them or none; those of one call of the client's once, however often it is sent."""
    recorder, name = side.recorder, name_in(request.trial_component_name, COMPONENT)
    if await recorder.lookup.run(name) is not None:
        await recorder.require(name)
    found = await side.component(name)
    await recorder.require(found.run)
    values = [
        Value(metric_name(one.metric_name), one.value, one.value, one.step, None, micros_of(one.timestamp))
        for one in request.metric_data
    ]
    statement = recorder.statement(found.run, side.content, micros_of(request.metric_data[0].timestamp))
    await recorder.append(statement, await worked(len(values), values_frames, statement, values))
    return BatchPutMetricsResponse(errors=[])
