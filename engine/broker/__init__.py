"""Brokers: who takes intents and says what became of them."""
