"""OAuth 2.0 for applications: opaque tokens, of which only a keyed hash is kept."""
