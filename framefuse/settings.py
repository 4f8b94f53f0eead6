"""Settings: flags > environment `FRAMEFUSE_…` > `framefuse.yaml` > defaults.

`KafkaSettings` is where the broker is. Each stage has a `StageSettings` of its own, read from the environment
`FRAMEFUSE_<STAGE>_<FIELD>` and from the section named after the stage in the file.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from framefuse.errors import BadInput
from schemas.topics import DEFAULT_PREFIX

SETTINGS_FILE = Path("framefuse.yaml")


class _FileSettings(BaseSettings):
    """Environment over file over defaults; flags are passed to `load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_prefix="FRAMEFUSE_", hide_input_in_errors=True
    )
    section: ClassVar[str | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file."""
        return (init_settings, env_settings, InitSettingsSource(settings_cls, _section(cls.section)))


def _section(name: str | None) -> dict[str, Any]:
    """What the file says for a stage (or, for None, for all); nothing where there is no file."""
    if not SETTINGS_FILE.is_file():
        return {}
    try:
        content = yaml.safe_load(SETTINGS_FILE.read_text("utf-8")) or {}
        section = content if name is None else content.get(name) or {}
        return {str(key): value for key, value in section.items()}
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{SETTINGS_FILE}: expected 'name: value' lines, and a section a stage: {error}"
        ) from None


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Protocol = Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper, str)]
Mechanism = Annotated[
    Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], BeforeValidator(_upper, str)
]


class KafkaSettings(_FileSettings):
    """Where the topics are, and who we are there.

    What belongs together is checked where a client is made (`framefuse.kafka.security`); nothing but these
    settings reaches the client library. Secrets have no flags: a process's arguments are for all to read.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    bootstrap: str | None = Field(
        default=None, description="host:port of a broker; without it, the one `framefuse broker up` started."
    )
    prefix: str = Field(default=DEFAULT_PREFIX, description="First part of every topic and group name.")

    security_protocol: Protocol = Field(default="PLAINTEXT", description="How to speak to the broker.")
    allow_plaintext: bool = Field(
        default=False, description="Without TLS to a broker that is not on this machine."
    )
    ssl_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the broker; the system's by default.",
    )
    ssl_certificate: Path | None = Field(default=None, description="PEM file of our own certificate.")
    ssl_key: Path | None = Field(default=None, description="PEM file of its key.")
    ssl_key_password: SecretStr | None = Field(default=None, description="Of that key.")
    ssl_key_password_file: Path | None = Field(
        default=None, description="File with the password of that key."
    )

    sasl_mechanism: Mechanism | None = Field(default=None, description="How we say who we are.")
    username: str | None = Field(default=None, description="For PLAIN and SCRAM.")
    password: SecretStr | None = Field(default=None, description="For PLAIN and SCRAM.")
    password_file: Path | None = Field(default=None, description="File with that password.")
    oauth_token_url: str | None = Field(default=None, description="For OAUTHBEARER: who gives tokens (OIDC).")
    oauth_client_id: str | None = Field(default=None, description="Who we are there.")
    oauth_client_secret: SecretStr | None = Field(default=None, description="Our secret there.")
    oauth_client_secret_file: Path | None = Field(default=None, description="File with that secret.")
    oauth_scope: str | None = Field(default=None, description="What to ask a token for.")
    oauth_ca: Path | None = Field(default=None, description="PEM file of who may sign the giver of tokens.")

    @field_validator("prefix")
    @classmethod
    def _a_topic_name(cls, prefix: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", prefix):
            raise ValueError("a prefix has letters, digits, '.', '_' and '-' only, at most 100")
        return prefix


class StageSettings(_FileSettings):
    """Base of every stage's settings; a subclass sets `section` to the stage's name."""

    dead_letter_limit: int = Field(
        100, ge=0, description="A worker stops after this many failures of its own in a row; 0: never."
    )
    dead_letter_share: float = Field(
        0.5, ge=0, le=1, description="The same at this share of its last 1,000 records; 0: never."
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.section:
            name = cls.section.replace("-", "_").upper()
            cls.model_config = SettingsConfigDict(**{**cls.model_config, "env_prefix": f"FRAMEFUSE_{name}_"})


S = TypeVar("S", bound=_FileSettings)


def load(kind: type[S], **flags: Any) -> S:
    """Settings of `kind`; a flag that is None was not given.

    Raises:
        BadInput: a value does not fit; the message names the setting, not its value.
    """
    try:
        return kind(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise BadInput(f"settings of {kind.section or 'framefuse'}: {what}") from None


def flags_of(settings: KafkaSettings) -> str:
    """The flags that lead a command to the same topics, each after a space; "" where it finds them anyway."""
    otherwise = load(KafkaSettings)
    flags = {"--bootstrap": settings.bootstrap, "--prefix": settings.prefix}
    found = {"--bootstrap": otherwise.bootstrap, "--prefix": otherwise.prefix}
    return "".join(f" {flag} {value}" for flag, value in flags.items() if value and value != found[flag])


def in_variables(text: str, kind: type[StageSettings], options: Collection[str]) -> str:
    """A message that names flags of `run`, for a command that has only some of them: the others as variables.

    `say --head yolov8` becomes `say FRAMEFUSE_DETECTION_HEAD=yolov8`.
    """

    def variable(found: re.Match[str]) -> str:
        field, value = found[1].replace("-", "_"), found[2]
        if field in options or field not in kind.model_fields:
            return found[0]
        return f"{kind.model_config['env_prefix']}{field.upper()}" + (f"={value.strip()}" if value else "")

    return _FLAG.sub(variable, text)


_FLAG = re.compile(r"--([a-z][a-z-]*)( (?!and\b|or\b)[\w|.-]+)?")
"""With its value, where one follows."""
