"""What analytics writes down: who gets the credit for each order line, daily sums, alerts. No personal data."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime
from shop_app.orders.models import OrderLine


class OrderLineCredit(Base):
    """The one verdict on where an order line came from.

    `credit` is click_24h, click_7d (the last recommended click, by age), view (a recommended card was seen within 24 h,
    nothing recommended clicked within 7 d) or organic. The place is that of the touch and empty when organic; `arm` is
    the experiment or bandit · variant of the answer that was touched.
    """

    __tablename__ = "order_line_credit"
    __table_args__ = (Index("ix_order_line_credit_day", "day", "credit"),)

    order_line_id: Mapped[int] = mapped_column(ForeignKey(OrderLine.id, ondelete="CASCADE"), primary_key=True)
    day: Mapped[date]  # UTC day of the order
    credit: Mapped[str] = mapped_column(String(10))
    surface: Mapped[str] = mapped_column(String(60), default="")
    widget: Mapped[str] = mapped_column(String(60), default="")
    rank: Mapped[int] = mapped_column(default=0)
    device: Mapped[str] = mapped_column(String(10), default="")
    request_id: Mapped[str] = mapped_column(String(80), default="")
    arm: Mapped[str] = mapped_column(String(100), default="", server_default="")
    touched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    quantity: Mapped[int]
    revenue_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    credited_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DayCell(Base):
    """Events of one UTC day alike in all of this. Bots and QA runs are left out. Empty text and 0: not said."""

    __tablename__ = "day_cell"

    day: Mapped[date] = mapped_column(primary_key=True)
    type: Mapped[int] = mapped_column(primary_key=True)
    surface: Mapped[str] = mapped_column(String(60), primary_key=True)
    widget: Mapped[str] = mapped_column(String(60), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(String(10), primary_key=True)
    recommended: Mapped[bool] = mapped_column(primary_key=True)
    events: Mapped[int]
    units: Mapped[float]


class DayPlace(Base):
    """The same events without rank and device: what most pages ask, in a fraction of the rows of `DayCell`."""

    __tablename__ = "day_place"

    day: Mapped[date] = mapped_column(primary_key=True)
    type: Mapped[int] = mapped_column(primary_key=True)
    surface: Mapped[str] = mapped_column(String(60), primary_key=True)
    widget: Mapped[str] = mapped_column(String(60), primary_key=True)
    recommended: Mapped[bool] = mapped_column(primary_key=True)
    events: Mapped[int]
    units: Mapped[float]


class DayAudience(Base):
    """The same events by who saw them: `audience` is member or guest, `arm` the experiment or bandit · variant."""

    __tablename__ = "day_audience"

    day: Mapped[date] = mapped_column(primary_key=True)
    type: Mapped[int] = mapped_column(primary_key=True)
    surface: Mapped[str] = mapped_column(String(60), primary_key=True)
    widget: Mapped[str] = mapped_column(String(60), primary_key=True)
    audience: Mapped[str] = mapped_column(String(10), primary_key=True)
    arm: Mapped[str] = mapped_column(String(100), primary_key=True)
    recommended: Mapped[bool] = mapped_column(primary_key=True)
    events: Mapped[int]
    units: Mapped[float]


class DaySpread(Base):
    """What clustered intervals need, per day and slot: sums over shopper-days of impressions x and clicks y."""

    __tablename__ = "day_spread"

    day: Mapped[date] = mapped_column(primary_key=True)
    surface: Mapped[str] = mapped_column(String(60), primary_key=True)
    widget: Mapped[str] = mapped_column(String(60), primary_key=True)
    shoppers: Mapped[int]
    sum_x: Mapped[int]
    sum_y: Mapped[int]
    sum_xx: Mapped[int]
    sum_yy: Mapped[int]
    sum_xy: Mapped[int]


class RolledDay(Base):
    """This day's sums are written and hold every event up to `upto_event_id`, and none after it."""

    __tablename__ = "rolled_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    upto_event_id: Mapped[int]
    rolled_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Alert(Base):
    """Something a person should look at. One open row per `fingerprint`; it closes when the cause is gone."""

    __tablename__ = "alert"
    __table_args__ = (Index("ix_alert_fingerprint", "fingerprint", "closed_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(10))  # page | ticket | note
    title: Mapped[str] = mapped_column(String(200))
    advice: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str] = mapped_column(String(80), default="")


class CanaryRun(Base):
    """One measured way of an event to a changed list. `lag_ms` is empty when the list did not change in time.

    `outcome` is changed, unchanged or unreachable. `probe` is the key of the made-up shopper;
    `is_kept`: the recommender still knows it.
    """

    __tablename__ = "canary_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    probe: Mapped[str] = mapped_column(String(40))
    item_id: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(12))
    lag_ms: Mapped[int | None]
    is_kept: Mapped[bool]


class GuardDay(Base):
    """Clicks of one list on one UTC day that led to a sold-out product."""

    __tablename__ = "guard_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    surface: Mapped[str] = mapped_column(String(60), primary_key=True)
    widget: Mapped[str] = mapped_column(String(60), primary_key=True)
    sold_out_clicks: Mapped[int]
