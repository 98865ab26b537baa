"""Mailboxes: rules, and what lies on the disk."""
