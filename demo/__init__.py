"""The whole story with real processes: a gateway, phones, somebody who is away, a box that dies."""
