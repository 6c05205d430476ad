"""`ringsam export --to lora`: what the adaptation changed, as a small adapter that `peft` puts on the original weights."""

import warnings
from pathlib import Path
from typing import Any

from transformers import SamModel

from ringsam.errors import InputError, how_to_install
from ringsam.export.change import Change, State
from ringsam.export.checks import Logits, Parity, answer, compare, refuse_other_masks
from ringsam.export.source import Source
from ringsam.provenance import short_weights
from ringsam.sam.model import Sam
from ringsam.sam.pretrained import load_folder, new_model

ENERGY = (
    0.9  # share of the squared change of all linear weights that is kept where nothing else is said
)


def write_lora(
    source: Source, folder: Path, *, rank: int | None = None, energy: float | None = None
) -> list[Parity]:
    """Write `adapter_config.json` and `adapter_model.safetensors`; of so small a rank that it keeps `energy` where no `rank` is given.

    It is put on the original weights by peft and compared with what it should make of them, and with the run's own. Raises
    InputError where there is no run or nothing to adapt, and ExportDiffers where peft makes something else of it.
    """
    peft, run = _peft(), source.run
    if run is None:
        raise InputError(f"{source.name}: an adapter is what a run changed; give a run folder")
    original = load_folder(run.original)
    change = Change.between(original, dict(source.sam.model.state_dict()))
    if not change.linear:
        raise InputError(f"{source.name}: the run changed no linear weight; export it with --to hf")
    energy = ENERGY if energy is None else energy
    rank = min(rank, change.rank_of(1.0)) if rank else change.rank_of(energy)
    original.name_or_path = short_weights(run.read_config().weights)  # peft writes it down
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`")  # peft asks for it
        wrapped = _wrapped(peft, original, change, rank)
        state = wrapped.state_dict()  # given, for peft's own check of it takes biases for shards
        wrapped.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
        on_original = peft.PeftModel.from_pretrained(load_folder(run.original), folder)
    found, adapted = _answer_of(on_original.merge_and_unload()), answer(source.sam)
    model = source.sam.model
    expected, zero_shot = (
        _answer_of(_loaded(model, state)) for state in (change.applied(rank), change.before)
    )
    return [
        refuse_other_masks(compare(f"the adapter, rank {rank}, on the original", expected, found)),
        compare("the adapted weights against it", adapted, found),
        compare("the adapted weights against the original, for comparison", adapted, zero_shot),
    ]


def _wrapped(peft: Any, original: SamModel, change: Change, rank: int) -> Any:
    """The original model with the adapter on it; scaled by one."""
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_bias=True,
        target_modules=list(change.linear),
        modules_to_save=change.whole or None,
        inference_mode=True,
    )
    wrapped = peft.get_peft_model(original, config)
    modules = wrapped.base_model.model
    for name in change.linear:
        b, a, bias = change.factors(name, rank)
        layer = modules.get_submodule(name)
        layer.lora_A["default"].load_state_dict({"weight": a})
        layer.lora_B["default"].load_state_dict({"weight": b, "bias": bias})
    for name in change.whole:
        saved = modules.get_submodule(name).modules_to_save["default"]
        saved.load_state_dict(change.part_of(name))
    return wrapped


def _loaded(like: SamModel, state: State) -> SamModel:
    model = new_model(like.config)
    model.load_state_dict(state)
    return model


def _answer_of(model: SamModel) -> Logits:
    return answer(Sam(model.eval()))


def _peft() -> Any:
    """Imported late, for it is an extra; raises InputError where that is not installed."""
    try:
        import peft
    except ImportError as error:
        raise InputError(f"--to lora needs its extra; {how_to_install('lora')}") from error
    return peft
