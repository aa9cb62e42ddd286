"""A refit reaches every process on the folder, and the shopper's own events keep counting at once."""

import math
import pickle
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from uuid import uuid4

import pytest

from recsys_engine.contract import Context, Event, EventType, Item, RecommendRequest
from recsys_engine.contract.explanations import Explanation
from recsys_engine.service import models
from shop_app.core.clock import FixedClock
from shop_app.recsys.embedded import EmbeddedGateway
from tests.contract.documented import undocumented

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ORG = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def gateways(tmp_path):
    """Two processes' gateways over one database and one model folder."""
    url, name = f"sqlite:///{tmp_path}/engine.sqlite3", f"ns-{uuid4()}"
    made = [EmbeddedGateway(url, ORG, name, FixedClock(NOW).now, model_folder=tmp_path / "models") for _ in range(2)]
    yield made
    for gateway in made:
        gateway.close()


def _fill(gateway):
    gateway.upsert_items([Item(f"p{i}", price=5.0 + i, brand="b", category=f"c{i // 6}") for i in range(24)])
    lines = []
    for user in range(12):
        group = 6 * (user % 4)
        for order in range(12):
            at = NOW - timedelta(days=10 * order + user % 5 + 1)
            for line in range(3):
                item = f"p{group + (line if line < 2 else 2 + (order + user) % 4)}"
                meta = {"order_id": f"o{user}-{order}"}
                lines.append(Event(f"u_{user}", item, EventType.PURCHASE, 1.0, at, meta))
    for start in range(0, len(lines), 200):
        gateway.send_events(lines[start : start + 200])


def _home(gateway, user, k=4, **context):
    request = RecommendRequest(user, k, Context("home", **context), explain_level="full", include_reasons=True)
    return gateway.recommend(request)


def test_without_anything_to_learn_from_nothing_is_written(gateways, tmp_path):
    assert gateways[0].refit() is False
    assert not (tmp_path / "models").exists()


@pytest.mark.ticket("RS-035")
def test_a_refit_is_used_by_every_process_and_explained_to_the_last_digit(gateways):
    writer, reader = gateways
    _fill(writer)
    before = _home(reader, "u_0")
    assert all("learned" not in place.reasons for place in before.items)

    assert writer.refit() is True
    reader.refresh_model()

    for gateway in gateways:
        listed = _home(gateway, "u_0")
        assert {place.item_id for place in listed.items[:2]} == {"p0", "p1"}
        first = listed.items[0]
        assert "learned" in first.reasons
        parts = sum(part["contribution"] for part in first.explain["contributions"].values())
        assert first.score == pytest.approx(parts * first.explain["multiplier"], abs=1e-9)


@pytest.mark.parametrize("surface", ["home", "pdp.similar", "cart"])
def test_the_learned_part_is_told_column_by_column(gateways, surface):
    gateway = gateways[0]
    _fill(gateway)
    gateway.refit()
    context = {"pdp.similar": {"item_id": "p6"}, "cart": {"cart_item_ids": ("p6", "p7")}}.get(surface, {})

    request = RecommendRequest("u_0", 4, Context(surface, **context), explain_level="full")
    places = gateway.recommend(request).items

    told = [place for place in places if "learned" in place.explain]
    assert told
    for place in told:
        assert undocumented(Explanation, place.explain) == []
        blocks = place.explain["learned"]
        for block in blocks:
            parts = block["base"] + block["novelty"] + sum(c["contribution"] for c in block["columns"].values())
            assert block["ranker"] == pytest.approx(parts, abs=1e-9)
            assert block["adds"] == pytest.approx(block["share"] / (1 + math.exp(-block["ranker"])), abs=1e-5)
        raw = place.explain["contributions"]["learned"]["raw"]
        assert raw == pytest.approx(sum(block["adds"] for block in blocks), abs=1e-9)
        shares = place.explain["contributions"].values()
        total = sum(part["contribution"] for part in shares) * place.explain["multiplier"] + place.explain["added"]
        assert place.score == pytest.approx(total, abs=1e-9)
    asked = {"pdp.similar": {"p6"}, "cart": {"p6", "p7"}}.get(surface, {f"p{n}" for n in range(6)})
    named = {one["item_id"] for place in told for block in place.explain["learned"] for one in block["history"]}
    assert named
    assert named <= asked


def test_looking_at_a_product_changes_the_next_list_without_a_refit(gateways):
    gateway = gateways[0]
    _fill(gateway)
    gateway.refit()
    before = [place.item_id for place in _home(gateway, "u_0", 12).items]

    gateway.send_events([Event("u_0", "p18", EventType.VIEW, 1.0, NOW, {})])
    after = [place.item_id for place in _home(gateway, "u_0", 12).items]

    best_relative = min(after.index(item) for item in ("p19", "p20", "p21", "p22", "p23") if item in after)
    before_relative = min((before.index(i) for i in ("p19", "p20", "p21", "p22", "p23") if i in before), default=99)
    assert best_relative < before_relative


@pytest.mark.ticket("RS-018")
def test_an_erased_member_is_nobodys_neighbour_any_more_and_leaves_the_model_file(gateways, tmp_path):
    writer, reader = gateways
    _fill(writer)
    writer.refit()
    _home(reader, "u_4")
    (path,) = (tmp_path / "models").glob("ranking-*.pickle")
    assert b"u_0" in path.read_bytes()

    writer.forget_users(["u_0"])
    _home(writer, "u_4")
    writer.refresh_model()
    reader.refresh_model()
    reader._engine.catch_up()

    assert b"u_0" not in path.read_bytes()
    with path.open("rb") as file:
        model = pickle.load(file)
    code = model.user_ids.index("")
    neighbours = model.ranking.world.neighbours
    for rows in (neighbours.tifu, neighbours.shares, neighbours.lately, neighbours.owned):
        assert rows[code].sum() == 0
        assert rows.sum() > 0
    assert not neighbours.is_member[code]
    assert _home(writer, "u_4").items == _home(reader, "u_4").items


@pytest.mark.ticket("RS-018")
def test_a_model_file_that_could_not_be_written_is_written_at_the_next_beat(gateways, tmp_path, monkeypatch):
    writer = gateways[0]
    _fill(writer)
    writer.refit()
    _home(writer, "u_4")
    writer.refresh_model()
    folder = tmp_path / "models"
    (path,) = folder.glob("ranking-*")

    def full(*_):
        raise OSError(ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(models._Pickler, "dump", full)
        writer.forget_users(["u_0"])
        _home(writer, "u_4")
        with pytest.raises(OSError, match="no space"):
            writer.refresh_model()
        assert list(folder.glob("ranking-*")) == [path]
    writer.refresh_model()
    assert list(folder.glob("ranking-*")) == [path]
    assert b"u_0" not in path.read_bytes()


def test_a_model_that_answers_while_it_is_written_is_written_whole(gateways, tmp_path):
    writer = gateways[0]
    _fill(writer)
    writer.refit()
    (path,) = (tmp_path / "models").glob("ranking-*.pickle")
    file = models.ModelFile(path.parent, int(path.stem.removeprefix("ranking-")))
    model = file.newer()
    model.ranking.world.__dict__["first_use"] = Meddler(model.ranking.world)

    file.write(model)

    assert "came_meanwhile" in model.ranking.world.__dict__
    with path.open("rb") as opened:
        written = pickle.load(opened)
    assert written.user_ids == model.user_ids
    assert "came_meanwhile" not in written.ranking.world.__dict__


class Meddler:
    """A field that, while it is being written, has something computed at first use come into its object."""

    def __init__(self, owner):
        self.owner = owner

    def __reduce__(self):
        self.owner.__dict__["came_meanwhile"] = 1
        return int, ()
