"""Files in buckets, as S3 has them (docs/sagemaker.md, "Files"): where the client puts what it logs as artifacts.

It stands at SageMaker's address because one address is all that the client is given (AWS_ENDPOINT_URL), and below the
protocol because artifacts of components are looked up here. The bytes are assets, what is known of them are entities.

`names`       buckets and keys, and the entities that hold them
`errors`      refusals as S3's clients read them
`xml`         bodies of requests and of responses
`signatures`  Signature Version 4 as S3 has it: in headers and in URLs
`framing`     bodies in signed chunks
`checksums`   what a body is checked against; `crc` two of them
`receiving`   the body of a request into the asset storage
`requests`    what of a request is signed
`side`        what the handlers work with
`objects`     buckets and objects as they are kept
`buckets`     handlers of buckets
`files`       handlers that write objects; `copying` copies them; `sending` those that read them
`uploads`     uploads in parts as they are kept; `multipart` their handlers, `completing` the one that ends them
`listing`     handlers that list objects
`operations`  what a request does
`routes`      the routes
"""
