"""Who may do what in the console: one table. A page that is not in it is refused to everybody."""

from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """What a role can be allowed."""

    SEE = "see numbers, lists and settings"
    SEE_PEOPLE = "see orders and members with their personal data"
    SERVE = "cancel and refund orders, change members' accounts"
    MERCHANDISE = "edit products, surfaces, rules and overrides"
    TUNE = "change how the recommender weighs and ranks"
    EXPERIMENT = "start, stop and conclude experiments and evaluations"
    OPERATE = "send data again, handle dead letters and alerts"
    GOVERN = "read the audit trail and change flags and roles"


GRANTS: dict[str, frozenset[Right]] = {
    "viewer": frozenset({Right.SEE}),
    "merchandiser": frozenset({Right.SEE, Right.MERCHANDISE}),
    "analyst": frozenset({Right.SEE, Right.EXPERIMENT, Right.TUNE}),
    "support": frozenset({Right.SEE, Right.SEE_PEOPLE, Right.SERVE, Right.OPERATE}),
    "owner": frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The right a page needs. A dangerous one asks for the password again before it changes anything."""

    right: Right
    is_dangerous: bool = False


RULES: dict[str, Rule] = {
    "admin.overview": Rule(Right.SEE),
    "admin.guardrails_page": Rule(Right.SEE),
    "admin.guardrails_csv": Rule(Right.SEE),
    "admin.similarity": Rule(Right.SEE),
    "admin.judge_pair": Rule(Right.MERCHANDISE),
    "admin.regrets": Rule(Right.SEE),
    "admin.change_regret": Rule(Right.TUNE),
    "admin.live_page": Rule(Right.SEE),
    "admin.live_figures": Rule(Right.SEE),
    "admin.funnel_page": Rule(Right.SEE),
    "admin.funnel_csv": Rule(Right.SEE),
    "admin.attribution_page": Rule(Right.SEE),
    "admin.attribution_csv": Rule(Right.SEE),
    "admin.products": Rule(Right.SEE),
    "admin.product": Rule(Right.SEE),
    "admin.change_product": Rule(Right.MERCHANDISE),
    "admin.change_products": Rule(Right.MERCHANDISE),
    "admin.catalogue_import": Rule(Right.MERCHANDISE),
    "admin.upload_catalogue": Rule(Right.MERCHANDISE),
    "admin.import_preview": Rule(Right.MERCHANDISE),
    "admin.import_csv": Rule(Right.MERCHANDISE),
    "admin.store_import": Rule(Right.MERCHANDISE, is_dangerous=True),
    "admin.check_links": Rule(Right.MERCHANDISE),
    "admin.orders": Rule(Right.SEE_PEOPLE),
    "admin.order": Rule(Right.SEE_PEOPLE),
    "admin.cancel_order": Rule(Right.SERVE, is_dangerous=True),
    "admin.refund_order": Rule(Right.SERVE, is_dangerous=True),
    "admin.people": Rule(Right.SEE_PEOPLE),
    "admin.person": Rule(Right.SEE_PEOPLE),
    "admin.letters": Rule(Right.GOVERN),
    "admin.change_role": Rule(Right.GOVERN, is_dangerous=True),
    "admin.events": Rule(Right.SEE),
    "admin.event": Rule(Right.SEE),
    "admin.answer": Rule(Right.SEE),
    "admin.slots": Rule(Right.SEE),
    "admin.slot": Rule(Right.SEE),
    "admin.change_slot": Rule(Right.MERCHANDISE),
    "admin.restore_slot": Rule(Right.MERCHANDISE),
    "admin.rules": Rule(Right.SEE),
    "admin.create_rule": Rule(Right.MERCHANDISE),
    "admin.switch_rule": Rule(Right.MERCHANDISE),
    "admin.overrides": Rule(Right.SEE),
    "admin.create_override": Rule(Right.MERCHANDISE),
    "admin.cancel_override": Rule(Right.MERCHANDISE),
    "admin.segments": Rule(Right.SEE),
    "admin.segment": Rule(Right.SEE),
    "admin.change_segment": Rule(Right.TUNE),
    "admin.delete_segment": Rule(Right.TUNE, is_dangerous=True),
    "admin.profile": Rule(Right.SEE),
    "admin.change_profile": Rule(Right.TUNE),
    "admin.delete_profile": Rule(Right.TUNE, is_dangerous=True),
    "admin.policies": Rule(Right.SEE),
    "admin.policy": Rule(Right.SEE),
    "admin.change_policy": Rule(Right.TUNE),
    "admin.ranking": Rule(Right.SEE),
    "admin.change_ranking": Rule(Right.TUNE),
    "admin.restore_ranking": Rule(Right.TUNE),
    "admin.feature_flags": Rule(Right.SEE),
    "admin.change_flags": Rule(Right.GOVERN, is_dangerous=True),
    "admin.restore_flags": Rule(Right.GOVERN, is_dangerous=True),
    "admin.event_types": Rule(Right.SEE),
    "admin.change_event_types": Rule(Right.TUNE),
    "admin.preview": Rule(Right.SEE),
    "admin.bandits": Rule(Right.SEE),
    "admin.start_bandit": Rule(Right.EXPERIMENT),
    "admin.end_bandit": Rule(Right.EXPERIMENT),
    "admin.experiments": Rule(Right.SEE),
    "admin.experiment": Rule(Right.SEE),
    "admin.experiment_csv": Rule(Right.SEE),
    "admin.new_experiment": Rule(Right.EXPERIMENT),
    "admin.plan_experiment": Rule(Right.EXPERIMENT),
    "admin.start_experiment": Rule(Right.EXPERIMENT),
    "admin.end_experiment": Rule(Right.EXPERIMENT, is_dangerous=True),
    "admin.lab": Rule(Right.SEE),
    "admin.ask_lab": Rule(Right.EXPERIMENT),
    "admin.lab_study": Rule(Right.SEE),
    "admin.study_progress": Rule(Right.SEE),
    "admin.cancel_study": Rule(Right.EXPERIMENT),
    "admin.evaluations": Rule(Right.SEE),
    "admin.evaluation": Rule(Right.SEE),
    "admin.start_evaluation": Rule(Right.EXPERIMENT),
    "admin.delivery": Rule(Right.SEE),
    "admin.delivery_bounds": Rule(Right.SEE),
    "admin.change_delivery_bounds": Rule(Right.TUNE),
    "admin.restore_delivery_bounds": Rule(Right.TUNE),
    "admin.resync": Rule(Right.OPERATE, is_dangerous=True),
    "admin.alerts": Rule(Right.SEE),
    "admin.service_levels": Rule(Right.SEE),
    "admin.costs_page": Rule(Right.SEE),
    "admin.acknowledge_alert": Rule(Right.OPERATE),
    "admin.differences": Rule(Right.SEE),
    "admin.sync_differences": Rule(Right.OPERATE),
    "admin.dead_letters": Rule(Right.SEE),
    "admin.requeue_dead_letters": Rule(Right.OPERATE),
    "admin.mend_dead_letter": Rule(Right.OPERATE),
    "admin.audit_trail": Rule(Right.GOVERN),
}


def may(role: str, right: Right) -> bool:
    """Does this role have this right? Shoppers and unknown roles have none."""
    return right in GRANTS.get(role, frozenset())


def may_open(role: str, endpoint: str) -> bool:
    """May this role use this page or action?"""
    rule = RULES.get(endpoint)
    return rule is not None and may(role, rule.right)
