"""Disks, networks and clocks that misbehave when they are told to."""
