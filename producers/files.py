"""Video files, images, folders and globs as sources.

A video is a stream of its own; the images of a folder or a glob are one stream, in natural order
(`img2` before `img10`), and so are single images from the same folder. JPEG, PNG and WEBP files are passed on
byte for byte, unless they have to shrink; everything else becomes JPEG. Opens files, never Kafka.
"""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from framefuse.errors import BadInput, UnreadableImage
from framefuse.pictures.encoding import EncodedImage, encode_jpeg, fit, shrink
from framefuse.pictures.headers import read_header
from framefuse.pictures.video import VideoReader
from framefuse.publishing.decisions import Thinner, stream_id_from
from framefuse.publishing.sources import Damaged, Item, Picture, Rejected, Skipped, Source, SourceOptions
from schemas.records import Encoding

AS_THEY_ARE = frozenset({".jpeg", ".jpg", ".jpe", ".png", ".webp"})
ENCODED_ANEW = frozenset({".bmp", ".dib", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff"})
VIDEOS = frozenset(
    {
        *{".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"},
        *{".mts", ".ogv", ".ts", ".webm", ".wmv"},
    }
)
DEFAULT_IMAGE_FPS = 10.0
"""How fast the images of a folder come when they are paced and `--fps` is not given."""
_READ_LIMIT_BYTES = 256 << 20
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Image files as one stream, each a picture."""

    stream_id: str
    title: str
    paths: Sequence[Path]
    options: SourceOptions
    skipped: Sequence[Path] = ()
    live: bool = False

    def __iter__(self) -> Iterator[Item]:
        """The pictures; with `loop` those that were good come again."""
        if self.skipped:
            yield _told(self.skipped)
        good, shown = list(self.paths), 0
        while good:
            for path in tuple(good):
                try:
                    yield self._picture(path, shown)
                    shown += 1
                except (UnreadableImage, OSError) as error:
                    good.remove(path)
                    yield Rejected(str(path), getattr(error, "strerror", None) or str(error))
            if not self.options.loop:
                return

    def _picture(self, path: Path, number: int) -> Picture:
        found = load_image(path, self.options)
        return Picture(
            image=found.image,
            encoding=found.encoding,
            width=found.width,
            height=found.height,
            captured_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
            pts_s=number / (self.options.fps or DEFAULT_IMAGE_FPS),
        )


@dataclass(frozen=True, slots=True)
class VideoFile:
    """One video file, its pictures encoded as JPEG."""

    stream_id: str
    title: str
    path: Path
    options: SourceOptions
    live: bool = False

    def __iter__(self) -> Iterator[Item]:
        """The pictures; with `loop` the video starts again where the time has got to."""
        thinner, start_s = Thinner(self.options.fps), 0.0
        while True:
            try:
                reader = VideoReader(self.path)
            except BadInput as error:
                yield Rejected(str(self.path), str(error))
                return
            with reader:
                end_s = start_s
                for picture in self._pictures(reader, thinner, start_s):
                    end_s = picture.pts_s
                    yield picture
            if reader.trouble is not None:
                yield Damaged(str(self.path), reader.trouble)
            if not self.options.loop or end_s == start_s:
                return
            start_s = end_s + 1.0 / (reader.info.fps or 25.0)

    def _pictures(self, reader: VideoReader, thinner: Thinner, start_s: float) -> Iterator[Picture]:
        began = reader.info.created_at or datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        for frame in reader.frames(lambda pts_s: thinner.keep(start_s + pts_s)):
            image = shrink(frame.image, self.options.max_side_px)
            yield Picture(
                image=encode_jpeg(image, self.options.quality),
                encoding=Encoding.JPEG,
                width=image.shape[1],
                height=image.shape[0],
                captured_at=began + timedelta(seconds=frame.pts_s),
                pts_s=start_s + frame.pts_s,
            )


def open_sources(addresses: Sequence[str], options: SourceOptions) -> Sequence[Source]:
    """The sources at paths, folders, globs and `file:` URLs.

    Raises:
        BadInput: nothing is there, or nothing that is a picture or a video.
    """
    sources: list[Source] = []
    singles: dict[Path, list[Path]] = {}
    for address in addresses:
        path = _path_of(address)
        if path.is_dir():
            sources += _of_folder(path, options)
        elif path.exists():
            if _is_video(path):
                sources.append(VideoFile(stream_id_from(path.stem), str(path), path, options))
            else:
                singles.setdefault(path.absolute().parent, []).append(path)
        else:
            sources += _of_glob(address, options)
    return sources + [_of_images(folder, paths, options) for folder, paths in singles.items()]


def load_image(path: Path, options: SourceOptions) -> EncodedImage:
    """An image file as it goes into a frame.

    Raises:
        UnreadableImage: it is broken, cut off, too large, or no image at all.
        OSError: it cannot be read.
    """
    if path.stat().st_size > _READ_LIMIT_BYTES:
        raise UnreadableImage(f"the file has more than {_READ_LIMIT_BYTES >> 20} MiB")
    return fit(path.read_bytes(), quality=options.quality, max_side_px=options.max_side_px)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that has `img2` before `img10`."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _of_folder(folder: Path, options: SourceOptions) -> Iterator[Source]:
    found = folder.rglob("*") if options.recursive else folder.glob("*")
    paths = [path for path in found if path.is_file() and not path.name.startswith(".")]
    sources = list(_grouped(stream_id_from(folder.absolute().name), str(folder), paths, options))
    if not sources:
        hint = "" if options.recursive else " (its folders are searched with --recursive)"
        raise BadInput(f"{folder}: no picture and no video in this folder{hint}")
    return iter(sources)


def _of_glob(address: str, options: SourceOptions) -> Iterator[Source]:
    # Path.glob takes no absolute pattern.
    found = [Path(name) for name in glob.glob(address, recursive=True)]  # noqa: PTH207
    paths = [path for path in found if path.is_file()]
    if not paths:
        what = "matches nothing" if glob.has_magic(address) else "no such file or folder"
        raise BadInput(f"{address}: {what}")
    fixed = Path(*[part for part in Path(address).parent.parts if not glob.has_magic(part)])
    sources = list(_grouped(stream_id_from(fixed.absolute().name), address, paths, options))
    if not sources:
        raise BadInput(f"{address}: matches no picture and no video")
    return iter(sources)


def _grouped(stream_id: str, title: str, paths: Iterable[Path], options: SourceOptions) -> Iterator[Source]:
    ordered = sorted(paths, key=natural_order)
    images = [path for path in ordered if path.suffix.lower() in AS_THEY_ARE | ENCODED_ANEW]
    videos = [path for path in ordered if path.suffix.lower() in VIDEOS]
    skipped = [path for path in ordered if path not in {*images, *videos}]
    if images:
        yield ImageFiles(stream_id, title, images, options, skipped)
    for path in videos:
        yield VideoFile(stream_id_from(path.stem), str(path), path, options)


def _of_images(folder: Path, paths: Sequence[Path], options: SourceOptions) -> Source:
    name = paths[0].stem if len(paths) == 1 else folder.name
    title = str(paths[0]) if len(paths) == 1 else f"{len(paths)} images of {folder.name}"
    return ImageFiles(stream_id_from(name), title, paths, options)


def _is_video(path: Path) -> bool:
    """Whether a file that the user named is a video; by its ending, else by what it holds.

    Raises:
        BadInput: neither a picture nor a video.
    """
    suffix = path.suffix.lower()
    if suffix in VIDEOS or suffix in AS_THEY_ARE | ENCODED_ANEW:
        return suffix in VIDEOS
    try:
        with path.open("rb") as file:
            read_header(file.read(1 << 20))
    except UnreadableImage:
        VideoReader(path).close()
        return True
    return False


def _path_of(address: str) -> Path:
    if address.startswith("file:"):
        return Path(unquote(urlsplit(address).path))
    return Path(address).expanduser()


def _told(skipped: Sequence[Path]) -> Skipped:
    names = ", ".join(path.name for path in skipped[:_NAMED_AT_MOST])
    more = f" and {len(skipped) - _NAMED_AT_MOST} more" if len(skipped) > _NAMED_AT_MOST else ""
    return Skipped(names + more, "neither picture nor video")
