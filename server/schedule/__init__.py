"""The evaluation that starts by itself every week, when the machine has nothing better to do."""
