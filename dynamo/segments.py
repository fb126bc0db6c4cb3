"""Into how many segments the scan of a table is cut (AWS: parallel scan). Pure."""

_BYTES_PER_SEGMENT = 64 * 1024 * 1024
"""A segment of this size is scanned in about a minute at the read rate of one partition."""


def planned(size_bytes: int, *, at_least: int, at_most: int) -> int:
    """Return the number of segments for a table of ``size_bytes``, within the bounds given."""
    return max(at_least, min(at_most, -(-size_bytes // _BYTES_PER_SEGMENT)))
