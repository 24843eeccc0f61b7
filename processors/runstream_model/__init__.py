"""The pure middle: (state, events) -> state. No I/O, no clock, no randomness; the same log gives the same state.

`seen`       which sequence numbers of a writer are folded
`points`     frames -> the points of a batch, as columns
`summaries`  what is known of each (run, metric)
`exact_sum`  sums without rounding; `moments`: of values and their squares
"""
