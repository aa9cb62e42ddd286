"""The learned ranking: what the order log says about demand, habit, neighbours and baskets, and rankers over all of it.

Order of reading: orders (the log as columns) → demand (items) → shoppers (habit) → cooccurrence, ease, neighbours
(who goes with whom)
→ world (all of them at one moment) → personal, together, newcomers (candidates and features per question) → learner,
model.
"""
