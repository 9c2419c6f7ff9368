"""What a server must have before a farm can use it: pools, deployments, automations."""
