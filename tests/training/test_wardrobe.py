"""What sprites wear and hold: the tables and the geometry, without the art."""

from __future__ import annotations

import pytest

pytest.importorskip("PIL")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")

from training.scenes.pieces import DRAWN, drawn
from training.scenes.wardrobe import (
    PLACES,
    load_anchors,
    load_holdables,
    load_wearables,
    place_held,
    place_worn,
)
from training.scenes.world import Anchor, Grip, Wearable

BOX = (28.0, 56.0, 228.0, 156.0)  # 200 wide, 100 high


def worn(fit: float = 1.0, rise: float = 0.0) -> Wearable:
    return Wearable("hat", "0", "head", (), (), fit, rise)


def is_code(code: str) -> bool:
    return all(part == f"{int(part, 16):x}" for part in code.split("-"))


def test_a_hundred_sprites_and_more_are_annotated_within_their_frames() -> None:
    anchors = load_anchors()
    assert len(anchors) >= 100
    for code, places in anchors.items():
        assert is_code(code)
        assert places
        for place, anchor in places.items():
            assert place in PLACES
            assert 0 <= anchor.x <= 256
            assert 0 <= anchor.y <= 256
            assert 30 <= anchor.width <= 220
            assert -90 <= anchor.angle <= 90


def test_places_lie_in_order_from_hat_to_scarf() -> None:
    for code, places in load_anchors().items():
        heights = [places[place].y for place in ("head", "eyes", "mouth", "neck") if place in places]
        assert heights == sorted(heights), code


def test_no_code_is_annotated_or_worn_in_two_spellings() -> None:
    for codes in (list(load_anchors()), list(load_holdables()), [w.code for w in load_wearables().values()]):
        plain = [code.replace("-fe0f", "") for code in codes]
        assert len(plain) == len(set(plain))


def test_wearables_have_an_anchor_and_names_of_their_own() -> None:
    wearables = load_wearables()
    english = [noun.one for wearable in wearables.values() for noun in wearable.english]
    chinese = [name for wearable in wearables.values() for name in wearable.chinese]
    assert len(english) == len(set(english))
    assert len(chinese) == len(set(chinese))
    assert {wearable.anchor for wearable in wearables.values()} == set(PLACES) - {"hand"}
    for wearable in wearables.values():
        assert wearable.english
        assert wearable.chinese
        assert wearable.code.startswith(DRAWN) or is_code(wearable.code)
        for noun in wearable.english:
            assert noun.article in ("a", "an", "")
            assert (noun.one == noun.many) == (noun.article == "")


def test_holdables_are_gripped_within_the_sprite() -> None:
    for code, grip in load_holdables().items():
        assert is_code(code)
        assert 0 <= grip.x <= 256
        assert 0 <= grip.y <= 256
        assert 40 <= grip.side <= 160


def test_glasses_lie_centred_and_as_wide_as_the_anchor() -> None:
    placement = place_worn(worn(), Anchor(120, 90, 150, -10), BOX)
    assert (placement.x, placement.y, placement.angle) == pytest.approx((120, 90, -10))
    assert placement.scale * 200 == pytest.approx(150)


def test_a_hat_stands_with_its_lower_edge_on_the_anchor() -> None:
    placement = place_worn(worn(fit=1.2, rise=0.5), Anchor(128, 60, 100), BOX)
    half = placement.scale * 100 / 2
    assert placement.scale * 200 == pytest.approx(120)
    assert placement.y + half == pytest.approx(60)


def test_a_hat_leans_with_the_head() -> None:
    """Turned a quarter counterclockwise, up is left."""
    placement = place_worn(worn(rise=0.5), Anchor(128, 60, 100, 90), BOX)
    assert (placement.x, placement.y) == pytest.approx((128 - 25, 60))


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_the_grip_lies_in_the_hand(angle: float) -> None:
    """Turned a quarter clockwise, a thing gripped at the middle of its foot reaches to the right of the hand."""
    placement = place_held(Grip(128, 156, 100, -90 - angle), Anchor(200, 150, 48, angle), BOX)
    assert (placement.x, placement.y) == pytest.approx((225, 150))
    assert (placement.scale, placement.angle) == pytest.approx((0.5, -90))


def test_a_small_hand_holds_small_things() -> None:
    grip = Grip(128, 156, 100)
    small, large = (place_held(grip, Anchor(200, 150, width), BOX).scale for width in (24, 48))
    assert large == pytest.approx(2 * small)


def test_every_drawn_piece_fills_the_canvas_without_touching_its_edge() -> None:
    names = [w.code.removeprefix(DRAWN) for w in load_wearables().values() if w.code.startswith(DRAWN)]
    assert names
    for name in names:
        piece = drawn(name)
        assert (piece.mode, piece.size) == ("RGBA", (256, 256))
        left, top, right, bottom = piece.getchannel("A").getbbox()
        assert right - left > 200
        assert bottom - top > 90
        assert min(left, top, 256 - right, 256 - bottom) >= 1


def test_an_unknown_piece_is_named_in_the_error() -> None:
    with pytest.raises(KeyError, match="kilt"):
        drawn("kilt")
