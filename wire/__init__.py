"""What both sides speak: bytes in, decisions out. No I/O, no clock, no dice."""
