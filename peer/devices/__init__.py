"""One person's several devices: what keeps them in step."""
