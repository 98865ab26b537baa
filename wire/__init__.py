"""What both sides speak: bytes and values in, values and decisions out. No I/O, no clock, no dice."""
