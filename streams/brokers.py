"""How Kafka's brokers are reached: the same options for every client, and for Faust's.

Named as Kafka's own clients name them (security.protocol, sasl.mechanism), so that what a provider hands out fits in.
"""

from __future__ import annotations

import ssl
from typing import Any

import faust

from rater.errors import SettingError
from rater.settings import KafkaSettings


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """What a consumer, a producer or an admin client of aiokafka is made with.

    Raises:
        SettingError: a file of certificates cannot be read, or a user is missing.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap,
        "security_protocol": kafka.security_protocol,
        "ssl_context": _ssl_context(kafka),
    }
    if kafka.security_protocol.startswith("SASL"):
        if not kafka.sasl_username:
            raise SettingError(f"kafka.sasl_username: {kafka.security_protocol} needs a user and a password")
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password,
        }
    return options


def credentials(kafka: KafkaSettings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """The same for Faust; None where brokers ask nobody who they are."""
    options = client_options(kafka)
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            mechanism=kafka.sasl_mechanism,
            ssl_context=options["ssl_context"],
        )
    return faust.SSLCredentials(options["ssl_context"]) if kafka.security_protocol == "SSL" else None


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    if not kafka.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_file or None)
    except OSError as error:  # SSLError is one
        raise SettingError(f"kafka.ssl_ca_file: {kafka.ssl_ca_file} holds no certificates: {error}") from error
    if kafka.ssl_cert_file:
        try:
            context.load_cert_chain(kafka.ssl_cert_file, kafka.ssl_key_file or None)
        except OSError as error:
            raise SettingError(f"kafka.ssl_cert_file: {kafka.ssl_cert_file} cannot be used: {error}") from error
    return context
