"""`framefuse demo`: the first five minutes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

Output = Annotated[
    Path, typer.Option("--output", "-o", file_okay=False, help="Where the film and results go.")
]
Seconds = Annotated[int, typer.Option(min=1, max=120, help="Length of the two streams.")]
Fps = Annotated[int, typer.Option(min=1, max=30, help="Frames a second of the two streams.")]


def demo(output: Output = Path("demo-output"), seconds: Seconds = 8, fps: Fps = 8) -> None:
    """Everything on this machine: a real Kafka, workers, two streams, and a film of what they saw.

    Starts its own broker on a free port, and leaves nothing running. Ctrl-C stops it all.

    [cyan]framefuse demo[/cyan]

    [cyan]framefuse demo --seconds 20 --output /tmp/look[/cyan]
    """
    from framefuse.demo.play import Options, play

    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]framefuse demo[/bold]: two streams → detection + depth → joined on frame id\n")
    played = play(Options(output, seconds, fps), console)
    books = played.books
    verdict = "[green]the books balance[/green]" if books.balanced else "[red]the books do not balance[/red]"
    rate = f"{played.frames_per_second:.1f} frames/s fused, {played.seconds:.0f} s in all"
    console.print(f"\n[bold]ledger[/bold]    {books.ledger.in_words()}\n          {verdict}; {rate}\n")
    console.print(f"[bold]look at[/bold]   {played.film}  (boxes, distances, depth; any browser plays it)")
    console.print(f"          {played.sheet}")
    console.print(f"          {played.results}/  (Parquet, one row a frame)\n")
    console.print(f"[bold]try next[/bold]  framefuse infer {output}/still.jpg")
    console.print("          framefuse broker up && framefuse topics create")
    console.print(
        "          framefuse run detection --workers 2   [dim]then depth, join; publish, watch[/dim]"
    )
    console.print("[bold]read next[/bold] docs/how-to/publish.md  (your own pictures; all: docs/README.md)")
    if not played.books.balanced:
        raise typer.Exit(1)
