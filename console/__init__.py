"""The project: settings and wiring, the operator console, the REST API's frame."""
