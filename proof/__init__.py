"""Prove a plan on the real tables before anything is written: read, translate, untranslate, count, forecast."""
