"""What the shop holds about a person: all of it, in one registry, to hand out or to erase."""
