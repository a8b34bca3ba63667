"""How good is each model really: a suite of tasks, tasks mined from histories, and what their results say."""
