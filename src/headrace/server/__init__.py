"""The HTTP and WebSocket face over the app."""
