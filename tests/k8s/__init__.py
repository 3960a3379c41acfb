"""Checks of `k8s/`: rendered as kubectl would, then held to schemas and to our own rules."""
