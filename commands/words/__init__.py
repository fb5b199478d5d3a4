"""What the words of a command stand for: settings, options, runs, and what a shell completes."""
