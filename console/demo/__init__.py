"""A fleet that lives, for a first look: simulated devices that use nothing but the public API and MQTT."""
