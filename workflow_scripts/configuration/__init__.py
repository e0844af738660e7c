"""Models and checks of configs and studies; never imports torch."""
