"""What a phone says to a gateway while pairing."""

from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel
from wire.codes import GatewayCode
from wire.pairing import PairRequest


def asks(
    code: GatewayCode | bytes,
    *,
    channel: Channel,
    phone: Phone | None = None,
    person: Person | None = None,
    confirmed: bool = False,
) -> PairRequest:
    """Return the request for a seat that a phone makes with a code, or with a secret it guessed.

    Without `phone` it is a new one, without `person` the phone is the first of somebody new.
    """
    phone = phone or Phone()
    person = person or Person(phone)
    return PairRequest.make(
        code.secret if isinstance(code, GatewayCode) else code,
        channel=channel,
        device=phone.key,
        exchange_key=phone.exchange,
        chain=person.card.chain,
        confirmed=confirmed,
    )
