//! This machine: files, systemd, Docker, nginx, probes, connections.
