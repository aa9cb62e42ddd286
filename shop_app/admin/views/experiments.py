"""Experiments: plan with the power calculator, start, watch, end, and a report that can be printed."""

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from shop_app.admin.charts import Whisker, whiskers
from shop_app.admin.experiment_forms import DEFAULT_RULE, DEVICES, PEOPLE, TREATMENTS, parse_plan, parse_power
from shop_app.admin.knob_forms import KNOBS
from shop_app.admin.views.base import actor, bp, csv_answer, currency, now, page
from shop_app.analytics.period import last_days
from shop_app.analytics.queries import funnel as metrics
from shop_app.analytics.queries.cells import Place
from shop_app.core.errors import InvalidInput, ShopError
from shop_app.core.money import Money
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import services
from shop_app.experiments.metrics import METRICS
from shop_app.experiments.queries import experiment_by_key, usual_spend
from shop_app.experiments.queries import experiments as every_experiment
from shop_app.experiments.reports import ArmReport, MetricReport, interleaving_report, report
from shop_app.extensions import db
from shop_app.site_settings.defaults import SLOTS

BASE_WITHOUT_DATA = 0.05
"""The calculator's rate while nothing was measured."""

LABELS = {
    "title": "Title",
    "k": "Cards",
    "brand_cap": "Most of one brand",
    "category_cap": "Most of one category",
    "is_on": "Shown",
    **{name: KNOBS[name].label for name in services.ENGINE_KNOBS},
}
"""What a variant may change, in the words of the form."""

CSV_HEADER = (
    "variant", "metric", "n_control", "n_variant", "mean_control", "mean_variant", "difference",
    "always_low", "always_high", "fixed_low", "fixed_high", "p", "p_holm",
)  # fmt: skip


@bp.get("/experiments")
def experiments() -> str:
    """All of them, newest first."""
    return page("admin/experiments.html", experiments=every_experiment(), metrics=METRICS)


@bp.get("/experiments/new")
def new_experiment() -> str | tuple[str, int]:
    """The form, with the power calculator filled from what was measured."""
    slot = request.args.get("slot", "home.top_picks")
    try:
        question = parse_power(request.args, _measured_rate(slot))
    except InvalidInput as error:
        return _form({"slot": slot}, error.fields), 422
    units = question.units()
    return _form({"slot": slot, "planned_units": str(units)}, {}, question=question, units=units)


@bp.post("/experiments")
def plan_experiment() -> BaseResponse | tuple[str, int]:
    """Store a draft."""
    try:
        plan = parse_plan(request.form, request.form.getlist("secondary"), currency())
        with unit_of_work(db.session):
            services.plan_experiment(plan, actor=actor(), now=now())
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.fields, secondary=request.form.getlist("secondary")), 422
    except ShopError as error:
        return _form(request.form.to_dict(), {"key": [str(error)]}, secondary=request.form.getlist("secondary")), 409
    flash("The plan is stored. It starts when you say so.", "good")
    return redirect(url_for("admin.experiment", key=plan.key), 303)


@bp.get("/experiments/<key>")
def experiment(key: str) -> str:
    """The report: the plan, who has seen it, every metric with its intervals, and what to do."""
    planned = experiment_by_key(key)
    if planned.is_interleaved:
        return page("admin/interleaving.html", experiment=planned, report=interleaving_report(planned), read_at=now())
    found = report(key, now=now())
    return page(
        "admin/experiment.html",
        experiment=planned,
        report=found,
        metrics=METRICS,
        labels=LABELS,
        read_at=now(),
        plots={arm.variant: _intervals(arm) for arm in found.arms},
    )


@bp.get("/experiments/<key>/report.csv")
def experiment_csv(key: str) -> Response:
    """The report's numbers as a file."""
    rows = [
        (
            arm.variant,
            m.name,
            m.control.n,
            m.treatment.n,
            m.control.mean,
            m.treatment.mean,
            m.fixed.difference,
            m.sequence.low,
            m.sequence.high,
            m.fixed.low,
            m.fixed.high,
            m.fixed.p_value,
            m.p_holm,
        )
        for arm in report(key, now=now()).arms
        for m in arm.metrics
    ]
    return csv_answer(f"experiment-{key}", CSV_HEADER, rows)


@bp.post("/experiments/<key>/start")
def start_experiment(key: str) -> BaseResponse:
    """Let shoppers in."""
    with unit_of_work(db.session):
        services.start_experiment(key, actor=actor(), now=now())
    flash("It runs. Shoppers are counted from the first time they see the slot.", "good")
    return redirect(url_for("admin.experiment", key=key), 303)


@bp.post("/experiments/<key>/end")
def end_experiment(key: str) -> BaseResponse:
    """Stop it, or take the decision; everybody gets the control at once."""
    because = request.form.get("because", "").strip()
    if not because:
        flash("Say why, in a sentence: the report keeps it.", "bad")
        return redirect(url_for("admin.experiment", key=key), 303)
    with unit_of_work(db.session):
        services.end_experiment(
            key, because=because, actor=actor(), now=now(), is_decided=request.form.get("how") == "concluded"
        )
    flash("It is over. Every shopper has the control again.", "good")
    return redirect(url_for("admin.experiment", key=key), 303)


def _form(
    typed: dict[str, str], errors: dict[str, list[str]], *, secondary: list[str] | None = None, **more: object
) -> str:
    usual = usual_spend(now())
    filled = {"decision_rule": DEFAULT_RULE, "traffic_percent": "100", "margin_conversion": "5"}
    if usual:
        filled["revenue_cap"] = str(Money(usual.minor, currency()).decimal())
    return page(
        "admin/experiment_new.html",
        typed={**filled, **typed},
        usual=usual,
        errors=errors,
        secondary=secondary or [],
        slots=list(SLOTS),
        metrics=METRICS,
        treatments=TREATMENTS,
        devices=DEVICES,
        people=list(PEOPLE.items()),
        knobs=[(name, KNOBS[name].label) for name in services.ENGINE_KNOBS],
        **more,
    )


def _measured_rate(slot: str) -> float:
    """The slot's CTR of the last four weeks, as a starting point."""
    surface, _, widget = slot.partition(".")
    rate = metrics.total(last_days(28, now().date()), Place(surface, widget)).ctr.value
    return rate if rate and rate < 0.5 else BASE_WITHOUT_DATA


def _intervals(arm: ArmReport) -> dict[str, Whisker]:
    """The intervals of every metric with a base, in per cent of the control, on one common scale."""
    shown = [metric for metric in arm.metrics if metric.control.mean]
    return dict(zip([m.name for m in shown], whiskers([_relative(m) for m in shown]), strict=True))


def _relative(metric: MetricReport) -> tuple[float, float, float, float, float]:
    fixed, always, base = metric.fixed, metric.sequence, metric.control.mean
    return (always.low / base, fixed.low / base, fixed.difference / base, fixed.high / base, always.high / base)
