"""What lies beside pictures: their records, places, fingerprints, recipes, former versions. Never makes one."""
