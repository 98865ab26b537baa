"""Our own keys together with what we share with each contact."""

from peer.keys.person import BoxKey, PairKey
from peer.keys.sessions import Party
from peer.keys.vault import Vault
from wire.card import Card


class Keyring:
    """The vault, and the keys that follow from what lies in it."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.identity = vault.identity()

    @property
    def party(self) -> Party:
        """This device as one end of a session."""
        device = self.identity.device
        return Party(self.identity.person, device.key, device.exchange.public)

    def pair_keys(self, card: Card, *, now: float) -> list[PairKey]:
        """Return all keys shared with a person, first the one to seal with.

        Older box keys are tried too: what was sealed before a revocation is still on its way.
        """
        current = BoxKey(card.person, card.person_generation, card.person_public)
        self.vault.keep_box(current, now=now)
        others = [one for one in self.vault.boxes(card.person) if one != current]
        own, secrets = self.vault.person_keys(), self.vault.pair_secrets(card.person)
        return [
            PairKey.of(self.identity.person, key, theirs=box, shared=shared)
            for box in (current, *others)
            for key in own
            for shared in secrets
        ]
