"""What every stage with a model can be told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from framefuse.pictures.decoding import PIXEL_LIMIT
from framefuse.settings import StageSettings
from processors.model_files.model import DEFAULT_MAX_BYTES, FetchOptions
from processors.onnx.tuning import Tuning
from processors.providers import Provider


class OnnxSettings(StageSettings):
    """What every stage with a model can be told."""

    section: ClassVar[str | None] = None
    model: str | None = Field(
        None,
        description="A path, s3://, gs://, az://, https:// or a Hugging Face id; #sha256:… behind it pins it."
        " Without it, the demo model.",
    )
    model_max_mb: int = Field(DEFAULT_MAX_BYTES // 10**6, ge=1, description="A larger one is not fetched.")
    trust_pickle: bool = Field(
        default=False,
        description="Take weights of Hugging Face that are a pickle, which runs code of its maker.",
    )
    provider: Provider = Field(
        Provider.AUTO, description="auto, cpu, cuda or tensorrt; what does not really work is an error."
    )
    tensorrt_cache: Path | None = Field(
        None, description="Folder where TensorRT keeps its engines; by default in the user's cache folder."
    )
    tensorrt_fp16: bool = Field(default=False, description="TensorRT may compute in half precision.")
    threads: int = Field(1, ge=1, description="Threads inside the model, for each thread that calls it.")
    batch_max: int = Field(8, ge=1, description="Most frames in one batch.")
    batch_wait_ms: float = Field(0.0, ge=0, description="How long a frame waits for others in its batch.")
    max_pixels: int = Field(PIXEL_LIMIT, ge=1, description="A larger picture is refused from its header.")
    reduced_decode: bool | None = Field(
        None,
        description="Decode a JPEG at 1/2, 1/4 or 1/8 where the model sees no more of it: faster, nearly the "
        "same. By default only for the demo models.",
    )

    @field_validator("model", mode="before")
    @classmethod
    def _as_text(cls, address: object) -> object:
        return str(address) if isinstance(address, Path) else address

    @property
    def fetching(self) -> FetchOptions:
        """How its model is fetched."""
        return FetchOptions(trust_pickle=self.trust_pickle, max_bytes=self.model_max_mb * 10**6)

    @property
    def tuning(self) -> Tuning:
        """How its model is run."""
        return Tuning(self.batch_max, tensorrt_cache=self.tensorrt_cache, tensorrt_fp16=self.tensorrt_fp16)

    @property
    def reduces(self) -> bool:
        """Whether pictures may be decoded smaller; a model that was brought gets the exact ones."""
        return self.model is None if self.reduced_decode is None else self.reduced_decode
