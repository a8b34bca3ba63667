"""`chargehand bench`: measures cost and correctness of this installation on named data, against a baseline."""
