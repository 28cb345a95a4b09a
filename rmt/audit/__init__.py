"""Audit of recurrent weights: whether the hidden state explodes, at which step, and which gain prevents it."""

from rmt.audit.weights import audit_weights as audit_weights
