"""The one guarded fetcher: the only code that opens a URL which a caller gave."""
