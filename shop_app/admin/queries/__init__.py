"""What the lists and detail pages of the console read. Numbers about the shop are read from `shop_app.analytics`."""
