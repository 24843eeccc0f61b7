"""Sweeps: searches for the best parameters. The server says what to try next, and each trial is a run.

`opening`     `runstream.sweep`
`sweep`       a sweep and its trials, as training code sees them
`workers`     a function called for each trial, in several processes
`environment` the trial of a program that `runstream sweep agent` started
`requests`    requests that are repeated, for a bounded time
"""
