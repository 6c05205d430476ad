"""Row 22: a batch without a trusted pseudo-label trains nothing and is counted; a run of them ends with exit code 3 and advice."""

import torch
from processes import train_flags
from tiny import disc_batch, tiny_sam

from ringsam.cli import main
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.training import no_signal


def test_a_batch_that_nothing_of_is_trusted_has_a_connected_zero():
    adaptation = Adaptation(tiny_sam(), MethodConfig(entropy_thresh=0.0, gamma=0.0))
    adaptation.train()
    output = adaptation.step(disc_batch(), Draws(0, 0))
    assert not output.pseudo.trusted.any() and not output.signal
    assert float(output.loss.detach()) == 0
    output.loss.backward()
    gradients = [p.grad for part in adaptation.trained_parts() for p in part.values()]
    assert all(g is not None and torch.equal(g, torch.zeros_like(g)) for g in gradients)


def test_steps_without_signal_are_counted_and_many_of_them_end_the_run_with_advice(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(no_signal, "LEAST_STEPS", 4)
    out = tmp_path / "run"
    silent = {"num_epochs": 9, "optim__batch_size": 2, "method.entropy_thresh": 0.0}
    flags = map(str, train_flags(sam_folder, out, **silent))
    assert main(["train", str(disc_data), *flags]) == 3
    said = capsys.readouterr().err
    assert said.startswith("ringsam train: 9 steps in a row had nothing to learn from")
    assert "at most 0 nats" in said and "raise --method.entropy_thresh" in said
    rows = RunFolder(out).read_epochs()
    assert [row["num_steps_without_signal"] for row in rows] == [3, 3]
