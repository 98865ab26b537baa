"""The store: real files, real processes, real faults."""
