"""Row 37: of two processes in one run folder the second is exit code 2; the lock of one that died is no lock."""

import pytest
from processes import train_flags, wait_for

from ringsam.runs import RunFolder

pytestmark = pytest.mark.slow


def test_a_second_process_is_refused_while_the_first_trains_and_let_in_when_it_died(
    disc_data, sam_folder, tmp_path, started, ringsam
):
    out = tmp_path / "run"
    first = started("train", disc_data, *train_flags(sam_folder, out, num_epochs=400))
    wait_for((out / "checkpoints" / "epoch=0000.ckpt").exists, seconds=240)
    resumed = ringsam("resume", out)
    trained = ringsam("train", disc_data, *train_flags(sam_folder, out, num_epochs=1))
    for second in (resumed, trained):
        assert second.returncode == 2, second.stderr
        assert str(out) in second.stderr and "Traceback" not in second.stderr
    assert "another process is training in it" in resumed.stderr
    assert first.poll() is None  # it was not disturbed
    first.kill()
    first.wait()
    resumed = started("resume", out)
    seen = len(RunFolder(out).read_epochs())
    wait_for(lambda: len(RunFolder(out).read_epochs()) > seen, seconds=240)
    assert resumed.poll() is None
