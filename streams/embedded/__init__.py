"""The parts that come with the engine: Redis and ClickHouse from Python wheels, Kafka from its own jars."""
