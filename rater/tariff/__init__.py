"""Tariffs: what a service costs, where and to whom; read from YAML and CSV, checked, and matched to usage."""
