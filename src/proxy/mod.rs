//! What stands in front of the instances and sends requests to one of them.

pub mod nginx;
