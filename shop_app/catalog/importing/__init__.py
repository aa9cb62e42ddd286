"""Reading other people's files: pure parsers that yield rows, and the writers that store them."""
