"""The cluster form: gateways, workers and query servers as processes of their own around Kafka and ClickHouse.

`settings`    what each of them takes, from the environment
`visibility`  how far the read models are, asked of the store
`roles`       one process of each kind: `runstream gateway`, `runstream worker`, `runstream query-server`
`metrics`     what each of them tells Prometheus
`disks`       how much room the store has, for the metrics
`following`   how far the tables are behind the log, for the metrics
`repeats`     a library that says the same many times a second
`front`       one address before many gateways and query servers, for one machine
`local`       `runstream cluster up`: all of it on one machine
`state`       what is running there: `runstream cluster status` and `stop`
"""
