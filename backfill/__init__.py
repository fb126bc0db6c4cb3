"""Copy every item that exists, segment by segment, resumably, while the stream runs (protocol §4). See `runner`."""
