"""How fast, how small and how frugal the gateway is, measured against floors and peers."""
