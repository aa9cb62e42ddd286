"""The shop: storefront, tracking, delivery to the recommender, and the admin console. Importing it does nothing."""
