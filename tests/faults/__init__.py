"""What goes wrong in a house, done on purpose to a real gateway process, one case for each row.

adapter.py    the verbs of a case: start, kill, enrol, deposit, fetch, ack ...; outlives a redesign
ledger.py     what the gateway has promised so far
oracle.py     what has to hold after every case
tools/        disks, networks and clocks that misbehave when told to

Every case has a short form, which `./test` runs, and a long one: `python -m tests.faults --long`.
"""
