"""Is the event stream healthy? Pure functions over counts and profiles; the rows, jobs and pages around them live
elsewhere.

`volume` compares an hour with the same hour of earlier weeks; `ratios` watches quotients that must hold; `burn_rate`
turns bad answers into alerts; `schema_drift` names the path that changed; `timing` finds silent stretches and shifted
clocks.
"""
