//! The one loop that takes a switch from event to event.
