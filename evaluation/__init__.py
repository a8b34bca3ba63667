"""How good is each model really: replays of recorded work through the whole product."""
