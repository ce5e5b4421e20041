"""Pure folds over the log: state, plan, read models. No I/O, no clock, no randomness, no logger."""
