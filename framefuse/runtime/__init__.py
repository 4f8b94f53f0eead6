"""What every stage runs on: workers, batches, transactions, health. Knows no camera and no model."""
