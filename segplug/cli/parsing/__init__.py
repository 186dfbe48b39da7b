"""What the subcommands share: the form of their parsers, and dataclass fields as flags."""
