"""A push service that checks what it is given, and a phone that receives what it was given.

Bodies are opened by `http_ece`, which nobody here wrote; the signature is checked by hand.
"""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.relay.outbound import Outbound
from tests.gateway.far import NAME, OTHER_NAME, Asked, Far, open_far, said
from tests.gateway.hands import Hands
from tests.gateway.served import Handset, Served, open_served
from wire.pushes import Address, AddressKind, Reach


def unspelled(text: str) -> bytes:
    """Return what stands there in base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Receiver:
    """An app on a phone that has an address at the push service."""

    url: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = b"a" * 16

    @property
    def address(self) -> Address:
        """What it tells its gateway."""
        public = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Address(AddressKind.WEB_PUSH, self.url, public, self.auth)

    def open(self, body: bytes) -> dict[str, Any]:
        """Open a push."""
        plain = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"
        )
        found: dict[str, Any] = json.loads(plain)
        return found


@dataclass(frozen=True)
class Pushed:
    """One push that was in order."""

    urgency: str
    topic: str
    words: dict[str, Any]
    asked: Asked


class PushService:
    """Checks and opens what comes."""

    def __init__(self, far: Far, hands: Hands) -> None:
        self.far = far
        self.hands = hands
        self.receivers: dict[str, Receiver] = {}
        self.answers: dict[str, bytes] = {}
        self.pushed: list[Pushed] = []
        far.answer = self._take

    def receiver(self, name: str = "phone", *, host: str = NAME) -> Receiver:
        """Give out an address."""
        target = f"/push/{name}"
        made = self.receivers[target] = Receiver(f"https://{host}:{self.far.port}{target}")
        return made

    def outbound(self) -> Outbound:
        """Return a way out that leads here."""
        return Outbound(own=[NAME, OTHER_NAME], resolve=self.far.resolve, trust=self.far.trust)

    def wakes(self) -> list[str]:
        """Return the urgencies of all pushes that told a phone to collect."""
        return [one.urgency for one in self.pushed if one.words.get("do") == "collect"]

    def _take(self, asked: Asked) -> bytes:
        if (answer := self.answers.get(asked.target)) is not None:
            return answer
        receiver = self.receivers[asked.target]
        check_vapid(asked, now=self.hands.now())
        headers = asked.headers
        assert headers["content-encoding"] == "aes128gcm"
        assert 0 < int(headers["ttl"]) <= 28 * 86_400
        assert headers["urgency"] in ("very-low", "low", "normal", "high")
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", headers["topic"])
        assert len(asked.body) <= 4096
        words = receiver.open(asked.body)
        self.pushed.append(Pushed(headers["urgency"], headers["topic"], words, asked))
        return said(201, f"TTL: {headers['ttl']}")


def check_vapid(asked: Asked, *, now: float) -> dict[str, Any]:
    """Check who pushes, as RFC 8292 says; return the claims."""
    found = re.fullmatch(r"vapid t=([^,]+), k=(\S+)", asked.headers["authorization"])
    assert found is not None
    head, claims, signature = found[1].split(".")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unspelled(found[2]))
    raw = unspelled(signature)
    assert len(raw) == 64
    numbers = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(numbers, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(unspelled(head)) == {"typ": "JWT", "alg": "ES256"}
    said_of_it: dict[str, Any] = json.loads(unspelled(claims))
    assert urlsplit(said_of_it["aud"]).netloc == asked.headers["host"]
    assert now < said_of_it["exp"] <= now + 24 * 3600
    assert said_of_it["sub"] == "mailto:anna@example.org"
    return said_of_it


@dataclass
class Home:
    """A gateway that wakes phones, and the push service that they use."""

    served: Served
    service: PushService
    hands: Hands

    async def phone(self, name: str = "phone", *, beside: Handset | None = None) -> Handset:
        """Return a phone with a confirmed address."""
        phone = await (self.served.enrolled_beside(beside) if beside else self.served.enrolled())
        await self.register(phone, self.service.receiver(name))
        return phone

    async def register(self, phone: Handset, receiver: Receiver) -> None:
        """Register and confirm an address."""
        self.hands.live(10)
        await phone.login()
        before = len(self.service.pushed)
        answer = await phone.ask("PUT", "/v1/push/address", receiver.address.encode())
        assert answer.status == 204, answer
        [pushed] = self.service.pushed[before:]
        token = unspelled(pushed.words["confirm"])
        assert (await phone.ask("POST", "/v1/push/confirm", token)).status == 204

    async def reach(self, phone: Handset) -> Reach:
        """Ask how a phone is woken."""
        await phone.login()
        return Reach.decode((await phone.ask("GET", "/v1/push")).data)

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.hands.live(seconds)
        assert self.served.gateway.waking is not None
        self.served.gateway.waking.look()

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        assert self.served.gateway.waking is not None
        await self.served.gateway.waking.settled()


@asynccontextmanager
async def open_home(folder: Path, *, hands: Hands | None = None) -> AsyncIterator[Home]:
    """Open a gateway in `folder` that wakes phones through a push service of its own."""
    hands = hands or Hands()
    folder.mkdir(exist_ok=True)
    async with open_far(folder) as far:
        service = PushService(far, hands)
        async with open_served(
            folder / "box",
            hands=hands,
            outbound=service.outbound(),
            web_push="mailto:anna@example.org",
        ) as served:
            yield Home(served, service, hands)
