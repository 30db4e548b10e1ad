"""The engine: games as a stateless gRPC service (`engine.server`), and the client that actors use (`engine.client`)."""
