"""framefuse: Kafka event-streaming inference. What every stage shares; knows no camera and no model."""
