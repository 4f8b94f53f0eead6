"""What each stream does lately: rates, latencies, what is seen. The only stage that stands on Faust."""
