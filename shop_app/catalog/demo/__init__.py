"""The demo shop: hand-written copy decks, and a generator that turns them and a seed into a catalogue and a history."""
