"""What the daemon tells about itself: ``logs`` for people, ``systemd`` for the service manager."""
