"""What tests share: servers, clients, oracles and recorded data, and the programs that run beside a test."""
