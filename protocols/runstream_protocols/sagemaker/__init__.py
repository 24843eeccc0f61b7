"""SageMaker Experiments: what the unmodified `sagemaker-experiments` writes and reads (docs/sagemaker.md).

Every request goes to one address, which gateways serve; its header X-Amz-Target says what it does.

`paths`       the address
`signing`     signatures: who knows the key
`access`      how the client shows its key
`errors`      refusals as it reads them
`names`       its names and ours
`models`      requests and responses
`side`        what the handlers work with, and which run a request is about
`components`  handlers that write trial components; `shown` those that read them
`operations`  the table of operations
`routes`      the route, and how an operation is done
"""
