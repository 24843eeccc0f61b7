"""The engine of hyperparameter search, pure: spaces, and what to try next.

`distributions`  one number: from [0, 1] to its values and back
`dimensions`     one hyperparameter: a number or one of a list, on or off a grid
`spaces`         all hyperparameters of an algorithm, as their owner writes them
`suggesting`     the next trial, made of the space, the trials so far and the number of the suggestion
`grids`          spaces that are counted through, in their order or in one that a seed gives
`searches`       what a search tries as its number n, by any of these ways

Optuna does the mathematics. It is loaded by the first suggestion that needs it, never by a server's start.
"""
