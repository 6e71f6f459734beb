"""Show how far a training is; the loop itself prints nothing."""

from collections.abc import Callable

from tqdm.auto import tqdm

from weightlore.training.loop import Callback
from weightlore.training.run import Epoch

__all__ = ["progress"]


def progress(label: str = "training", *, make_bar: Callable[..., tqdm] = tqdm) -> Callback:
    """Return a callback for ``fit`` that shows a progress bar with the latest losses.

    The bar starts at the first epoch that it is told of, also when a run resumes, and closes with the last.

    Args:
        label: what stands before the bar.
        make_bar: ``tqdm.auto.tqdm`` or another class that is called alike; the default suits terminals and notebooks.

    Source: ours
    """
    bars: list[tqdm] = []

    def show(epoch: Epoch) -> None:
        if not bars:
            bars.append(make_bar(total=epoch.epochs, initial=epoch.number - 1, desc=label, unit="epoch"))
        shown = {"loss": f"{epoch.train_loss:.3f}"}
        if epoch.validation_accuracy is not None:
            shown["validation accuracy"] = f"{epoch.validation_accuracy:.3f}"
        bars[0].set_postfix(shown)
        bars[0].update(1)
        if epoch.last:
            bars.pop().close()

    return show
