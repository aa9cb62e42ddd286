"""Guardrails: what lists must not do to people, list by list and day by day (RS-058)."""

from flask import Response, request

from shop_app.admin.charts import Plot, Series, line_plot
from shop_app.admin.formats import percent, percent_short
from shop_app.admin.views.base import bp, csv_answer, now, page, period_links
from shop_app.analytics import guardrails as found
from shop_app.analytics.period import Period, parse_period

TITLES = {
    "sold_out": ("Clicks on sold-out products", 3),
    "returned": ("Lines that came back", 4),
    "empty": ("Empty answers", 2),
    "complained": ("Answers said to be not for people", 5),
}
DEFINITIONS = {
    "Sold-out clicks": "Clicks from a list on a product without stock, by the stock within half a minute of the click.",
    "Returns": "Order lines credited to the list whose order was refunded, by the day of the order.",
    "Empty": "Answers that had no card to show, of all answers.",
    "Fallback": "Answers made of best sellers or an earlier list, because the recommender did not answer in time.",
    "95 of 100": "The time within which 95 of 100 answers were ready.",
    "Not for me": "How often people said so of the list with its button, against all answers; each once an answer.",
    "Consent taken back": "People who had agreed to personalisation and changed their mind.",
    "Limits": "Sold-out clicks 2 %, returns 15 %, empty 5 %, not for me 1 %. Beyond: marked, and an alert unless it "
    "may be chance.",
}


@bp.get("/guardrails")
def guardrails_page() -> str:
    """The table, the trends, and the limits."""
    period = parse_period(request.args, now().date())
    rows = found.guardrails(period)
    return page(
        "admin/guardrails.html",
        period=period,
        links=period_links(now()),
        rows=rows,
        earlier={row.slot: row for row in found.guardrails(period.previous())},
        marked=found.worst(rows),
        plots=_plots(period),
        taken_back=found.consent_taken_back(period),
        taken_back_before=found.consent_taken_back(period.previous()),
        definitions=DEFINITIONS,
    )


@bp.get("/guardrails.csv")
def guardrails_csv() -> Response:
    """The table as a file."""
    period = parse_period(request.args, now().date())
    header = (
        "surface",
        "widget",
        "clicks",
        "sold_out_clicks",
        "lines",
        "returned_lines",
        "answers",
        "empty",
        "fallback",
        "complaints",
    )
    rows = [
        (
            *row.slot,
            row.clicks,
            row.sold_out_clicks,
            row.lines,
            row.returned_lines,
            row.answers.answers,
            row.answers.empty,
            row.answers.fallback + row.answers.cached,
            row.complaints,
        )
        for row in found.guardrails(period)
    ]
    return csv_answer(f"guardrails-{period.first}-{period.last}", header, rows)


def _plots(period: Period) -> list[Plot]:
    shares = found.by_day(period)
    labels = [f"{day.day} {day:%b}" for day in period.each_day()]
    return [
        line_plot(
            title,
            labels,
            [Series(title, [shares[name].get(day) for day in period.each_day()], tone)],
            percent,
            axis=percent_short,
            least_top=0.05,
        )
        for name, (title, tone) in TITLES.items()
    ]
