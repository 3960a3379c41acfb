"""The limits of the data plane, as the protos' comments state them."""

from __future__ import annotations

from typing import Final

FRAME_BYTES: Final = 256 * 1024
"""A frame of a stream is at most so large."""

PACKED_BYTES: Final = 64 * 1024
"""A frame of several items is at most so large: it is what a process holds for each of
thousands of readers that are just then loading a big environment."""

WRITE_SECONDS: Final = 2.0
"""A reader that does not take a frame for so long is ended."""

SEND_WINDOW: Final = 64
"""Readers per environment that are waited for at once: the next stream's turn comes when one
of them has taken its frame (sync.md)."""

TIME_SLICE_SECONDS: Final = 0.0005
"""Sending for so long, the process does everything else before it goes on."""

ROUND_SECONDS_PER_STREAM: Final = 0.000_08
"""Passes over an environment's streams begin so long after each other, times the streams, on
average: two to three times what a push costs, so that half a core is left while changes come."""

ROUND_SECONDS: Final = 0.2
"""Nor longer than this, however many streams there are."""

PLACE_SECONDS: Final = 0.1
"""Whoever takes longer to send gives its place in the window to the next stream."""

FIRST_SYNCS: Final = 64
"""First change sets that are sent at once; the others wait their turn."""

FIRST_SYNC_PATIENCE: Final = 30.0
"""Seconds that a stream waits for its turn before it is told to try again."""

PATCH_CACHE: Final = 64
"""Encoded patches kept per revision, one for each revision that streams come from."""

TOKEN_BYTES: Final = 64
"""Most bytes of the epoch of a resume token, and of its digest."""

EXPLAINED_FLAGS: Final = 100
"""Largest number of flags that one call explains."""

STREAM_BATCHES: Final = 16
"""Batches of one TrackStream under way at once."""

TRACK_BYTES: Final = 8 * 1024 * 1024
"""A Track or Identify request is at most so large."""
