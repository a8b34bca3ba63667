"""How good each model really is: a suite of tasks, tasks mined from Git histories, and analysis of their results."""
