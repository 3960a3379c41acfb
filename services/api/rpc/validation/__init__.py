"""Checks of what an operator sends, on the messages themselves.

Messages and not the model are checked, because only they still hold what the model cannot
express (a value of no kind, an operator without a name), and so paths are the caller's own.
"""
