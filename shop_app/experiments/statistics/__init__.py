"""The arithmetic of experiments: pure functions over numbers, no database, no clock, no settings.

`moments` reduces unit values to (n, mean, variance); `comparisons` tests two of them; `power` plans; `srm` checks the
split; `variance` adjusts (CUPED, winsorising); `multiplicity` corrects for many metrics; `sequences` and
`group_sequential` allow looking at any time or at planned looks; `peeking` measures what looking costs. Formulas and
figures: `docs/statistics.md`.
"""
