//! mlx-tree as a service of the system: units for systemd and launchd, and what systemd is told while it runs.
