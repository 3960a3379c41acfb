"""Where the vectors are written: tables by hand, which `python -m` expands to JSON.

Nothing here imports the engine. Whether a condition holds is stated in each row by the
author; which share a bucket falls into is computed from the specification's formula with
`hashlib` and fractions.
"""
