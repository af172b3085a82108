"""The `listen` process: it answers brokers that ask at each CONNECT, and hears what happens at all of them."""
