"""Read-only numbers. Every metric is defined once, in `funnel`; every query leaves out bots and QA runs."""
