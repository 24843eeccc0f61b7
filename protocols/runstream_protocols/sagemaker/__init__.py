"""SageMaker Experiments: what the unmodified `sagemaker-experiments` writes and reads (docs/sagemaker.md).

Every request goes to one address, which gateways serve; its header X-Amz-Target says what it does. Files go to paths
below it: `s3`.

`paths`       the address
`signing`     signatures: who knows the key
`access`      how the client shows its key
`errors`      refusals as it reads them
`names`       its names and ours
`models`      requests and responses
`side`        what the handlers work with, and which run a request is about
`things`      experiments and trials, and how they are kept
`paging`      pages of them
`experiments` handlers of experiments; `trials` those of trials and of what is in them
`components`  handlers that write trial components; `shown` those that read them
`searching`   search, by `expressions` in memory, by `component_filters` as filters of runs
`addresses`   what the address of an artifact leads to
`artifacts`   handlers of artifacts of lineage; `associations` those of what made or used them; `lineage_models`
`tags`        tags of things
`metrics`     points of metrics
`operations`  the table of operations
`sts`         who sends a request, for the name of the client's bucket; `sessions` credentials for a time
`routes`      the route, and how an operation is done
"""
