"""Serving: raw strings in, answers out; a SavedModel for servers, and the same answers in Python."""
