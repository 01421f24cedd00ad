//! From what is wanted and what was observed to a list of steps.
