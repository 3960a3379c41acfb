"""Who calls, and what they may do: principals, roles, names of places, decisions.

`api` and `evaluation` decide by the same functions.
"""
