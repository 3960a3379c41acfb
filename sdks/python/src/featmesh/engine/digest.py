"""MD5, by the shortest way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import md5
else:
    try:
        # CPython's own implementation: hashlib's goes through OpenSSL, which costs twice as
        # much for texts as short as ours, and which some installations forbid it.
        from _md5 import md5
    except ImportError:  # an interpreter, or a build of one, without it
        from functools import partial
        from hashlib import md5 as _openssl_md5

        md5 = partial(_openssl_md5, usedforsecurity=False)

__all__ = ["md5"]
