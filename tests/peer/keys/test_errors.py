from peer.keys import errors
from peer.keys.errors import KeysError, NeedsBundles, TooLarge
from wire.ids import DeviceId


def test_every_refusal_has_a_code_of_its_own_and_stands_in_the_tree() -> None:
    kinds = KeysError.__subclasses__()
    tree = errors.__doc__ or ""

    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(f" {kind.__name__} " in tree for kind in kinds)


def test_the_facts_to_act_on_come_along() -> None:
    device = DeviceId(bytes(16))

    assert NeedsBundles((device,)).devices == (device,)
    assert str(TooLarge(size=2, limit=1)) == "2 bytes do not fit in one parcel; at most 1 do"
