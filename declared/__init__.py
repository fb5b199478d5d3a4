"""What is declared once and used everywhere: the fields of settings, and doors to named parts.

In: frozen dataclasses with annotated fields, and parts registered by name. Out: values checked
against them, and their own description for people and machines. Imports nothing heavy.
"""
