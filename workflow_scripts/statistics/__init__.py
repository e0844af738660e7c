"""Statistics over trials; never imports torch."""
