//! The events of a switch, and what comes next after them.
