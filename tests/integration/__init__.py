"""Tests that need Kafka and MinIO, or several processes."""
