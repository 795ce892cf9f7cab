"""A broker that speaks TLS and asks who its clients are, with a certificate of its own making."""

from __future__ import annotations

import subprocess
from pathlib import Path

from streams.embedded.kafka import KafkaServer, java_command

USER, PASSWORD = "rater", "not told"
_STORE_PASSWORD = "changeit"
_WHO = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required"
    f' username="broker" password="between brokers" user_broker="between brokers" user_{USER}="{PASSWORD}";'
)


class SecuredKafka(KafkaServer):
    """Open it as a KafkaServer; `certificate` is what its clients have to trust."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "broker")
        self._store = folder / "keys.p12"
        self.certificate = folder / "certificate.pem"
        self._keytool(
            "-genkeypair", "-alias", "broker", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1",
            "-validity", "3",
        )  # fmt: skip
        self._keytool("-exportcert", "-rfc", "-alias", "broker", "-file", str(self.certificate))

    def properties(self) -> str:
        plain = super().properties().replace("PLAINTEXT://127.0.0.1", "SASL_SSL://127.0.0.1")
        return plain.replace("PLAINTEXT:PLAINTEXT,CONTROLLER", "SASL_SSL:SASL_SSL,CONTROLLER") + (
            "inter.broker.listener.name=SASL_SSL\n"
            "sasl.enabled.mechanisms=PLAIN\n"
            "sasl.mechanism.inter.broker.protocol=PLAIN\n"
            f"listener.name.sasl_ssl.plain.sasl.jaas.config={_WHO}\n"
            f"ssl.keystore.location={self._store}\nssl.keystore.type=PKCS12\nssl.keystore.password={_STORE_PASSWORD}\n"
            f"ssl.truststore.location={self._store}\nssl.truststore.type=PKCS12\n"
            f"ssl.truststore.password={_STORE_PASSWORD}\n"
        )

    def _keytool(self, *arguments: str) -> None:
        keytool = Path(java_command()).resolve().with_name("keytool")
        store = ["-keystore", str(self._store), "-storetype", "PKCS12", "-storepass", _STORE_PASSWORD]
        subprocess.run([str(keytool), *arguments, *store], check=True, capture_output=True)
