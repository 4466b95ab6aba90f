"""The ports in memory: what tests, replay and backtest run on."""
