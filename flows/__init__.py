"""Orchestration of renders with Prefect, and the command line. No mathematics; `styletransfer` holds that."""

from styletransfer.redaction import redact_logs

redact_logs()  # here, as every process that comes from this package imports it before it logs anything
