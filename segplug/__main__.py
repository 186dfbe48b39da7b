"""`python -m segplug`: the `segplug` command where its script is not on the path."""

from segplug.cli import main

raise SystemExit(main())
