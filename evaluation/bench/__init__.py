"""`chargehand bench`: what this installation costs and gets right, on named data, beside a baseline."""
