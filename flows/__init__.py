"""Orchestration of renders with Prefect, and the command line. No mathematics; `styletransfer` holds that."""
