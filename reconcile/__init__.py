"""Prove that both sides agree, through the mapping; recheck, then repair, what does not (protocol §7). See `runner`."""
